"""Does the loop turn: detect, decide, recover."""

from boards.frame import Board, Panel, Query, Row

OF_MODEL = '{model=~"$model"}'


def stage(title: str, metric: str, by: str, description: str) -> Panel:
    """The mean and the tail of one of the loop's own objectives, over all turns so far."""
    return Panel(
        title,
        description,
        "s",
        [
            Query(
                f"sum by ({by}) ({metric}_sum{OF_MODEL})"
                f" / sum by ({by}) ({metric}_count{OF_MODEL})",
                f"mean {{{{{by}}}}}",
            ),
            Query(f"histogram_quantile(0.95, sum by (le) ({metric}_bucket{OF_MODEL}))", "p95"),
        ],
    )


BOARD = Board(
    "loop",
    "Tailrace: loop",
    "Drift, requests for retraining, trainings, and how long a turn of the loop takes.",
    [
        Row(
            "Objectives",
            [
                stage(
                    "Time to detect",
                    "loop_detect_seconds",
                    "kind",
                    "Event time from the start of the first window that looked like drift to its"
                    " detection; the objective is four weeks.",
                ),
                stage(
                    "Time to decide",
                    "loop_decide_seconds",
                    "model",
                    "Wall time from an accepted request to the verdict on its version; the"
                    " objective is an hour.",
                ),
                stage(
                    "Time to recover",
                    "loop_recover_seconds",
                    "model",
                    "Event time from the end of the training data, which is the detection, to the"
                    " promotion; the objective is six weeks.",
                ),
            ],
        ),
        Row(
            "Drift",
            [
                Panel(
                    "Active drift",
                    "1 while drift of a kind is detected and not cleared.",
                    "none",
                    [Query(f"max by (model, kind) (drift_active{OF_MODEL})", "{{model}} {{kind}}")],
                ),
                Panel(
                    "Bad windows in a row",
                    "Two or more are drift; six are an alert.",
                    "none",
                    [
                        Query(
                            f"max by (model, kind) (drift_bad_windows{OF_MODEL})",
                            "{{model}} {{kind}}",
                        )
                    ],
                ),
                Panel(
                    "Suspicions",
                    "Early warnings of the live watch, so far.",
                    "none",
                    [
                        Query(
                            f"sum by (model) (watch_suspicions_total{OF_MODEL}) or on () vector(0)",
                            "{{model}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Retraining",
            [
                Panel(
                    "Requests",
                    "What became of requests for retraining, so far.",
                    "none",
                    [
                        Query(
                            f"sum by (cause, decision) (retrain_decisions_total{OF_MODEL})",
                            "{{cause}} {{decision}}",
                        )
                    ],
                ),
                Panel(
                    "Training in flight",
                    "1 while an accepted training has not ended; below, whether a broken feed"
                    " forbids any.",
                    "none",
                    [
                        Query(f"max by (model) (training_in_flight{OF_MODEL})", "{{model}}"),
                        Query(
                            f"max by (model) (training_feed_broken{OF_MODEL})",
                            "{{model}} feed broken",
                        ),
                    ],
                ),
                Panel(
                    "Trainings",
                    "By their end, so far.",
                    "none",
                    [Query(f"sum by (outcome) (trainings_total{OF_MODEL})", "{{outcome}}")],
                ),
                Panel(
                    "Folders that are wrong",
                    "Models by whose folder nothing can be trained, and contracts that ingest"
                    " cannot read; their logs say why.",
                    "none",
                    [
                        Query("sum by (model) (model_folder_invalid)", "{{model}}"),
                        Query("max(ingest_contracts_invalid)", "contracts"),
                    ],
                ),
                Panel(
                    "Events a second",
                    "Handled by each service.",
                    "ops",
                    [
                        Query(
                            "sum by (service, type)"
                            " (rate(tailrace_events_handled_total[$__rate_interval]))",
                            "{{service}} {{type}}",
                        )
                    ],
                ),
                Panel(
                    "Alerts",
                    "Firing now.",
                    "none",
                    [
                        Query(
                            "count by (alertname, severity)"
                            ' (ALERTS{alertstate="firing"})'
                            " or on () vector(0)",
                            "{{alertname}}",
                        )
                    ],
                ),
            ],
        ),
    ],
)
