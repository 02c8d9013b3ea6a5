"""The predictor's metrics."""

from prometheus_client import Counter, Gauge, Histogram

PREDICTIONS = Counter(
    "predictions_total", "Predictions that were answered.", ["model", "version", "arm"]
)
LATENCY = Histogram(
    "prediction_latency_seconds",
    "From the arrival of a request to its answer, its log record acknowledged.",
    ["model"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
ERRORS = Counter(
    "prediction_errors_total",
    "Requests without an answer; model is empty for none.",
    ["model", "code"],
)
GRPC_REQUESTS = Counter(
    "grpc_requests_total", "Calls over gRPC, by method and outcome.", ["method", "code"]
)
CONFIDENCE = Histogram(
    "model_confidence",
    "Probability of the class that was decided for.",
    ["model", "version"],
    buckets=(0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99, 1.0),
)
GAPS = Counter(
    "stored_features_missing_total",
    "Stored values that a model did not get, and what it got instead.",
    ["model", "feature", "reason", "instead"],
)
FEATURE_AGE = Histogram(
    "stored_feature_age_seconds",
    "Event time from a stored row's writing to the prediction that reads it; one row a batch.",
    buckets=(60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 259200, 604800),
)
STORE_FAILURES = Counter("feature_store_failures_total", "Reads of the feature store that failed.")
CACHE_HITS = Counter(
    "cache_hits_total", "Predictions whose score came from the prediction cache.", ["model"]
)
CACHE_MISSES = Counter(
    "cache_misses_total",
    "Predictions whose score might have come from the prediction cache, and was not there.",
    ["model"],
)
CACHE_FAILURES = Counter(
    "cache_failures_total",
    "Reads and writes of the prediction cache that failed; what they ask for counts as missing.",
)
SHADOWED = Counter(
    "shadow_predictions_total",
    "Rows that a challenger in shadow scored, or failed on, unseen by callers.",
    ["model", "version"],
)
SHADOW_DROPPED = Counter(
    "shadow_predictions_dropped_total",
    "Rows that a challenger in shadow was to score and did not, as the budget was spent.",
    ["model", "reason"],
)
UNLOGGED = Counter(
    "predictions_unlogged_total",
    "Predictions that were not given, as their log record was not acknowledged in time.",
)
UNSAMPLED = Counter(
    "predictions_unsampled_total",
    "Predictions that were given and, by their version's sampling rate, not to be logged.",
    ["model"],
)
BATCH_SIZE = Histogram(
    "prediction_batch_size",
    "Requests that shared a read of the store and a run of the model.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
IN_FLIGHT = Gauge(
    "predictions_in_flight", "Requests that have no answer yet.", multiprocess_mode="livesum"
)
MODELS_LOADED = Gauge(
    "models_loaded",
    "Model versions in memory; each worker has them all.",
    multiprocess_mode="livemax",
)
LOAD_FAILURES = Counter(
    "model_load_failures_total", "Attempts to load a version that failed.", ["model", "reason"]
)
LOAD_SECONDS = Histogram(
    "model_load_seconds",
    "Download, check and load of a version.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
