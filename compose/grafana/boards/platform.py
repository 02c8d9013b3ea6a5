"""Is it up, how much does it answer, how fast, how surely."""

from boards.frame import Board, Panel, Query, Row

CHOSEN = 'model=~"$model", version=~"$version"'

HITS = 'sum(rate(cache_hits_total{model=~"$model"}[$__rate_interval]))'
MISSES = 'sum(rate(cache_misses_total{model=~"$model"}[$__rate_interval]))'


def latency(quantile: float) -> Query:
    """A quantile of the latency, with the traces behind it."""
    buckets = 'prediction_latency_seconds_bucket{model=~"$model"}[$__rate_interval]'
    return Query(
        f"histogram_quantile({quantile}, sum by (le) (rate({buckets})))",
        f"p{quantile * 100:.0f}",
        exemplars=quantile == 0.99,
    )


BOARD = Board(
    "platform",
    "Tailrace: platform",
    "Predictions, their speed, errors and confidence, and how the services do.",
    [
        Row(
            "Predictions",
            [
                Panel(
                    "Predictions a second",
                    "Answered predictions by version.",
                    "reqps",
                    [
                        Query(
                            "sum by (model, version)"
                            f" (rate(predictions_total{{{CHOSEN}}}[$__rate_interval]))",
                            "{{model}} {{version}}",
                        )
                    ],
                ),
                Panel(
                    "Latency",
                    "From a request's arrival to its answer, the log record acknowledged. The dots"
                    " are traces.",
                    "s",
                    [latency(0.5), latency(0.95), latency(0.99)],
                ),
                Panel(
                    "Errors a second",
                    "Requests without an answer, by the code that the caller got.",
                    "reqps",
                    [
                        Query(
                            "sum by (code) (rate(prediction_errors_total[$__rate_interval]))"
                            " or on () vector(0)",
                            "{{code}}",
                        )
                    ],
                ),
                Panel(
                    "Share of failed requests",
                    "Faults of callers left out; the objective is 0.1 % over 30 days.",
                    "percentunit",
                    [
                        Query("predictor:prediction_errors:ratio_rate5m", "5 minutes"),
                        Query("predictor:prediction_errors:ratio_rate1h", "an hour"),
                    ],
                ),
                Panel(
                    "Confidence",
                    "Probability of the predicted class: mean, and the tenth that is least sure.",
                    "percentunit",
                    [
                        Query(
                            "sum by (model, version)"
                            f" (rate(model_confidence_sum{{{CHOSEN}}}[$__rate_interval]))"
                            " / sum by (model, version)"
                            f" (rate(model_confidence_count{{{CHOSEN}}}[$__rate_interval]))",
                            "mean {{model}} {{version}}",
                        ),
                        Query(
                            "histogram_quantile(0.1, sum by (le, version)"
                            f" (rate(model_confidence_bucket{{{CHOSEN}}}[$__rate_interval])))",
                            "p10 {{version}}",
                        ),
                    ],
                ),
                Panel(
                    "Drift score",
                    "Distance of each feature, and of the score, from the version's reference.",
                    "none",
                    [Query('max by (feature) (drift_score{model=~"$model"})', "{{feature}}")],
                ),
                Panel(
                    "Requests a batch",
                    "Requests that shared one read of the feature store and one run of the model.",
                    "none",
                    [
                        Query(
                            "sum(rate(prediction_batch_size_sum[$__rate_interval]))"
                            " / sum(rate(prediction_batch_size_count[$__rate_interval]))",
                            "mean",
                        )
                    ],
                ),
                Panel(
                    "Cache hit rate",
                    "Share of the predictions whose score came from the prediction cache, of those"
                    " that may, and failed reads and writes a second. None until a model's policy"
                    " has a cache.",
                    "percentunit",
                    [
                        Query(
                            # Until the first miss, or the first hit, there is no such series.
                            f"{HITS} / ({HITS} + {MISSES}) or {HITS} / {HITS} or on () vector(0)",
                            "hits",
                        ),
                        Query(
                            "sum(rate(cache_failures_total[$__rate_interval])) or on () vector(0)",
                            "failures a second",
                        ),
                    ],
                ),
                Panel(
                    "Connections",
                    "Open over HTTP, and those a second that were closed over a limit, by limit.",
                    "none",
                    [
                        Query("sum by (instance) (http_connections)", "{{instance}}"),
                        Query(
                            "sum by (reason)"
                            " (rate(http_connections_closed_total[$__rate_interval]))"
                            " or on () vector(0)",
                            "closed a second: {{reason}}",
                        ),
                    ],
                ),
                Panel(
                    "In flight",
                    "Requests that have no answer yet.",
                    "none",
                    [Query("sum by (instance) (predictions_in_flight)", "{{instance}}")],
                ),
                Panel(
                    "Not logged",
                    "Predictions a second that were refused since their record could not be kept,"
                    " or that the log will never have.",
                    "reqps",
                    [
                        Query(
                            "sum(rate(predictions_unlogged_total[$__rate_interval]))", "not given"
                        ),
                        Query(
                            "sum by (reason) (rate(predictions_dropped_total[$__rate_interval]))",
                            "given, lost to the log: {{reason}}",
                        ),
                    ],
                ),
                Panel(
                    "Spool",
                    "Predictions on the predictors' disks that Kafka has not got, and the bound.",
                    "bytes",
                    [
                        Query("sum by (instance) (prediction_spool_bytes)", "{{instance}}"),
                        Query("max(prediction_spool_limit_bytes)", "bound of each"),
                    ],
                ),
            ],
        ),
        Row(
            "Services",
            [
                Panel(
                    "Up",
                    "1 for each process that answers Prometheus.",
                    "none",
                    [Query('sum by (job) (up{part_of="tailrace"})', "{{job}}")],
                ),
                Panel(
                    "Requests a second",
                    "HTTP by route and status, gRPC by method and code; operations and /predict"
                    " left out.",
                    "reqps",
                    [
                        Query(
                            "sum by (job, route, status)"
                            " (rate(http_requests_total[$__rate_interval]))"
                            " or sum by (job, method, code)"
                            " (rate(grpc_requests_total[$__rate_interval]))",
                            "{{job}} {{route}}{{method}} {{status}}{{code}}",
                        )
                    ],
                ),
                Panel(
                    "HTTP latency",
                    "95 of 100 requests are faster. The dots are traces.",
                    "s",
                    [
                        Query(
                            "histogram_quantile(0.95, sum by (le, job, route)"
                            " (rate(http_request_seconds_bucket[$__rate_interval])))",
                            "{{job}} {{route}}",
                            exemplars=True,
                        )
                    ],
                ),
                Panel(
                    "CPU",
                    "Cores in use by each process.",
                    "none",
                    [
                        Query(
                            'sum by (job) (rate(process_cpu_seconds_total{part_of="tailrace"}'
                            "[$__rate_interval]))",
                            "{{job}}",
                        )
                    ],
                    width=12,
                ),
                Panel(
                    "Memory",
                    "Resident memory of each process.",
                    "bytes",
                    [
                        Query(
                            'sum by (job) (process_resident_memory_bytes{part_of="tailrace"})',
                            "{{job}}",
                        )
                    ],
                    width=12,
                ),
            ],
        ),
    ],
)
