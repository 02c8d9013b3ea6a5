"""How good are the predictions: realised, estimated, promised."""

from boards.frame import Board, Panel, Query, Row

OF_MODEL = '{model=~"$model"}'
CHOSEN = '{model=~"$model", version=~"$version"}'


def loss(metric: str, legend: str) -> Query:
    """A mean loss by version."""
    return Query(f"max by (version) ({metric}{CHOSEN})", f"{legend} {{{{version}}}}")


BOARD = Board(
    "quality",
    "Tailrace: model quality",
    "Realised, estimated and promised loss, distances from the reference, and scores.",
    [
        Row(
            "Loss",
            [
                Panel(
                    "Loss of the last window",
                    "Realised on labels, in the unit of the model's loss; estimated, for binary"
                    " models, from the scores as if they were calibrated, so without labels;"
                    " promised on the held-out rows of the training.",
                    "none",
                    [
                        loss("drift_window_loss", "realised"),
                        loss("drift_window_estimated_log_loss", "estimated"),
                        loss("drift_promised_loss", "promised"),
                    ],
                    width=16,
                ),
                Panel(
                    "Realised over promised",
                    "Above 1.05, and surely so, is drift of the performance.",
                    "none",
                    [
                        Query(
                            f"max by (version) (drift_window_loss{CHOSEN})"
                            f" / max by (version) (drift_promised_loss{CHOSEN})",
                            "{{version}}",
                        )
                    ],
                ),
            ],
        ),
        Row(
            "Distances",
            [
                Panel(
                    "Features",
                    "Jensen-Shannon distance of each feature from the version's reference.",
                    "none",
                    [
                        Query(
                            'max by (feature) (drift_score{model=~"$model", feature!="score"})',
                            "{{feature}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Scores",
                    "Distance of the scores: by window, and live.",
                    "none",
                    [
                        Query(
                            'max by (job) (drift_score{model=~"$model", feature="score"})',
                            "{{job}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Mean score",
                    "Of the newest predictions, by version.",
                    "percentunit",
                    [Query(f"avg by (version) (watch_mean_score{CHOSEN})", "{{version}}")],
                ),
                Panel(
                    "Confidence",
                    "Median and least sure tenth.",
                    "percentunit",
                    [
                        Query(
                            f"histogram_quantile({q}, sum by (le, version)"
                            f" (rate(model_confidence_bucket{CHOSEN}[$__rate_interval])))",
                            f"p{q * 100:.0f} {{{{version}}}}",
                        )
                        for q in (0.5, 0.1)
                    ],
                ),
                Panel(
                    "Windows that were not compared",
                    "So far, by reason.",
                    "none",
                    [
                        Query(
                            f"sum(increase(drift_windows_put_off_total{OF_MODEL}[1h]))"
                            " or on () vector(0)",
                            "put off in an hour, the reference is away",
                        ),
                        Query(
                            f"sum by (why) (drift_windows_unjudged_total{OF_MODEL})"
                            " or on () vector(0)",
                            "{{why}}",
                        ),
                        Query(
                            f"sum(drift_columns_unjudged_total{OF_MODEL}) or on () vector(0)",
                            "one input of a window",
                        ),
                    ],
                ),
            ],
        ),
        Row(
            "Labels",
            [
                Panel(
                    "Predictions and labels a second",
                    "Read by the drift-monitor.",
                    "ops",
                    [
                        Query(
                            "sum by (type) (rate(tailrace_events_handled_total{"
                            'service="drift-monitor", type=~"prediction.logged|label.arrived"}'
                            "[$__rate_interval]))",
                            "{{type}}",
                        )
                    ],
                ),
                Panel(
                    "Waiting for the other half",
                    "Predictions without a label yet, and labels without a prediction.",
                    "none",
                    [Query("sum(drift_join_waiting)", "held")],
                ),
                Panel(
                    "Counted nowhere",
                    "Predictions and labels that came too late, or twice; so far.",
                    "none",
                    [
                        Query(
                            f"sum(drift_event_time_set_back_total{OF_MODEL}) or on () vector(0)",
                            "event time set back",
                        ),
                        Query(
                            f"sum by (why) (drift_dropped_total{OF_MODEL}) or on () vector(0)",
                            "{{why}}",
                        ),
                    ],
                ),
            ],
        ),
    ],
)
