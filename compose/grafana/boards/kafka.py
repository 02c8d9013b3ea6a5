"""Does the work keep up: use, saturation and errors of every loop."""

from boards.frame import Board, Panel, Query, Row

BOARD = Board(
    "kafka",
    "Tailrace: Kafka",
    "Consumer lag, time at work, dead letters and outages of every loop.",
    [
        Row(
            "Keeping up",
            [
                Panel(
                    "Consumer lag",
                    "Records that wait, by group and topic; markers of transactions count too.",
                    "none",
                    [Query("sum by (group, topic) (tailrace_consumer_lag)", "{{group}} {{topic}}")],
                ),
                Panel(
                    "Time at work",
                    "Share of the time in which a loop has a batch in hand; 1 is all of it.",
                    "percentunit",
                    [Query("group:tailrace_batch_seconds:utilisation_rate5m", "{{group}}")],
                ),
                Panel(
                    "Time a batch takes",
                    "95 of 100 are faster.",
                    "s",
                    [
                        Query(
                            "histogram_quantile(0.95, sum by (le, group)"
                            " (rate(tailrace_batch_seconds_bucket[$__rate_interval])))",
                            "{{group}}",
                        )
                    ],
                ),
                Panel(
                    "Events in",
                    "Handled a second, by service.",
                    "ops",
                    [
                        Query(
                            "sum by (service)"
                            " (rate(tailrace_events_handled_total[$__rate_interval]))",
                            "{{service}}",
                        )
                    ],
                ),
                Panel(
                    "Events out",
                    "Published a second, by type.",
                    "ops",
                    [
                        Query(
                            "sum by (type)"
                            " (rate(tailrace_events_published_total[$__rate_interval]))",
                            "{{type}}",
                        )
                    ],
                ),
                Panel(
                    "Live watch",
                    "Predictions that wait to be looked at.",
                    "none",
                    [Query("sum(watch_lag)", "waiting")],
                ),
            ],
        ),
        Row(
            "Failing",
            [
                Panel(
                    "Dead letters",
                    "Messages that could not be handled, so far.",
                    "none",
                    [
                        Query(
                            "sum by (service, error) (tailrace_dead_letters_total)"
                            " or on () vector(0)",
                            "{{service}} {{error}}",
                        )
                    ],
                ),
                Panel(
                    "Outages",
                    "Times that a component had to wait and try again, so far.",
                    "none",
                    [
                        Query(
                            "sum by (component) (tailrace_outages_total) or on () vector(0)",
                            "{{component}}",
                        )
                    ],
                ),
                Panel(
                    "Unreadable messages",
                    "Messages of compacted topics that were passed over, so far.",
                    "none",
                    [
                        Query(
                            "sum by (service, topic) (tailrace_unreadable_messages_total)"
                            " or on () vector(0)",
                            "{{service}} {{topic}}",
                        )
                    ],
                ),
                Panel(
                    "Share that the watch looks at",
                    "1 is all; less while it is behind.",
                    "percentunit",
                    [Query("min(watch_sampling_rate)", "share")],
                    width=12,
                ),
                Panel(
                    "Restarts of the watch",
                    "Times that its stream was started again.",
                    "none",
                    [Query("sum(watch_restarts_total)", "restarts")],
                    width=12,
                ),
            ],
        ),
    ],
)
