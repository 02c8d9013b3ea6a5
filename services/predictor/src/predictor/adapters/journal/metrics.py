"""Metrics of the spool."""

from prometheus_client import Counter, Gauge

SPOOL_BYTES = Gauge(
    "prediction_spool_bytes",
    "Logged predictions on disk that Kafka has not acknowledged.",
    multiprocess_mode="livesum",
)
SPOOL_LIMIT = Gauge(
    "prediction_spool_limit_bytes",
    "Most that the spools of the process or its workers may hold; 0 without one.",
    multiprocess_mode="livesum",
)
SPOOL_AGE = Gauge(
    "prediction_spool_oldest_seconds",
    "Age of the oldest prediction that Kafka has not acknowledged; 0 when none waits.",
    multiprocess_mode="livemax",
)
DROPPED = Counter(
    "predictions_dropped_total",
    "Predictions that were given, or were in the spool, and will never be in the log.",
    ["reason"],
)
