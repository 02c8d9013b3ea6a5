"""What comes in, and how fresh it is."""

from boards.frame import Board, Panel, Query, Row


def slow(metric: str) -> list[Query]:
    """The time that 95 of 100 take, by dataset."""
    rate = f"rate({metric}_bucket[$__rate_interval])"
    return [Query(f"histogram_quantile(0.95, sum by (le, dataset) ({rate}))", "{{dataset}}")]


BOARD = Board(
    "data",
    "Tailrace: data",
    "Records, labels, quarantine, the lake and the feature store.",
    [
        Row(
            "In",
            [
                Panel(
                    "Accepted a second",
                    "Records and labels that were acknowledged over HTTP.",
                    "ops",
                    [
                        Query(
                            "sum by (kind) (rate(ingest_accepted_total[$__rate_interval]))",
                            "{{kind}}",
                        )
                    ],
                ),
                Panel(
                    "Refused a second",
                    "Requests, by HTTP status.",
                    "reqps",
                    [
                        Query(
                            "sum by (kind, status) (rate(ingest_refused_total[$__rate_interval]))"
                            " or on () vector(0)",
                            "{{kind}} {{status}}",
                        )
                    ],
                ),
                Panel(
                    "Rows a second",
                    "By dataset: stored, in quarantine, or held already; not put online;"
                    " entries that an event left out.",
                    "ops",
                    [
                        Query(
                            "sum by (dataset, outcome) (rate(ingest_rows_total[$__rate_interval]))",
                            "{{dataset}} {{outcome}}",
                        ),
                        Query(
                            "sum by (dataset) (rate(ingest_not_online_total[$__rate_interval]))",
                            "{{dataset}} not online",
                        ),
                        Query(
                            "sum(rate(ingest_event_entries_left_out_total[$__rate_interval]))",
                            "entries left out of events",
                        ),
                    ],
                ),
                Panel(
                    "Share in quarantine",
                    "Of the rows so far.",
                    "percentunit",
                    [
                        Query(
                            'sum(ingest_rows_total{outcome="quarantined"} or vector(0))'
                            ' / sum(ingest_rows_total{outcome=~"stored|quarantined"})',
                            "in quarantine",
                        )
                    ],
                ),
                Panel(
                    "Commits of the lake",
                    "95 of 100 are faster.",
                    "s",
                    slow("ingest_commit_seconds"),
                ),
                Panel(
                    "Writes to the feature store",
                    "95 of 100 are faster.",
                    "s",
                    slow("ingest_push_seconds"),
                ),
            ],
        ),
        Row(
            "Freshness",
            [
                Panel(
                    "Event time",
                    "Newest row of each dataset, and how far predictions have come.",
                    "dateTimeAsIso",
                    [
                        Query(
                            "max by (dataset) (ingest_newest_event_time_seconds) * 1000",
                            "{{dataset}}",
                        ),
                        Query(
                            'max by (model) (drift_watermark_seconds{model=~"$model"}) * 1000',
                            "predictions of {{model}}",
                        ),
                    ],
                ),
                Panel(
                    "Behind the predictions",
                    "Event time by which the newest row of a dataset lies behind them. Negative is"
                    " ahead: rows of the future are records as well.",
                    "s",
                    [
                        Query(
                            'max(drift_watermark_seconds{model=~"$model"}) - on () group_right ()'
                            " max by (dataset) (ingest_newest_event_time_seconds)",
                            "{{dataset}}",
                        )
                    ],
                ),
                Panel(
                    "Age of stored features",
                    "Event time from a stored row's writing to the prediction that reads it.",
                    "s",
                    [
                        Query(
                            f"histogram_quantile({q}, sum by (le)"
                            " (rate(stored_feature_age_seconds_bucket[$__rate_interval])))",
                            f"p{q * 100:.0f}",
                        )
                        for q in (0.5, 0.95)
                    ],
                ),
                Panel(
                    "Missing stored features a second",
                    "Values that a model did not get: absent, too old, of a wrong type, or no"
                    " store.",
                    "ops",
                    [
                        Query(
                            "sum by (feature, reason) (rate(stored_features_missing_total{"
                            'model=~"$model"}[$__rate_interval])) or on () vector(0)',
                            "{{feature}} {{reason}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Failed reads of the store",
                    "So far.",
                    "none",
                    [Query("sum(feature_store_failures_total)", "failed")],
                    width=12,
                ),
            ],
        ),
    ],
)
