"""What the windows tell Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

DRIFT_ACTIVE = Gauge(
    "drift_active", "Whether drift was detected and not cleared.", ["model", "kind"]
)
BAD_WINDOWS = Gauge(
    "drift_bad_windows", "Windows in a row that looked like drift.", ["model", "kind"]
)
DETECT_SECONDS = Histogram(
    "loop_detect_seconds",
    "Event time from the start of the first window in a row that looked like drift to its"
    " detection; a reminder does not count.",
    ["model", "kind"],
    buckets=[86400 * days for days in (0.25, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90)],
)
WINDOW_LOSS = Gauge(
    "drift_window_loss", "Mean realised loss of the last window.", ["model", "version"]
)
ESTIMATED_LOSS = Gauge(
    "drift_window_estimated_log_loss",
    "Log-loss that a binary model's scores of the last window promise if they are calibrated: needs"
    " no labels.",
    ["model", "version"],
)
PROMISED_LOSS = Gauge(
    "drift_promised_loss",
    "Mean loss on the held-out rows of a version's training.",
    ["model", "version"],
)
WATERMARK = Gauge(
    "drift_watermark_seconds", "Event time that a model's predictions have reached.", ["model"]
)
WAITING = Gauge("drift_join_waiting", "Predictions and labels held for the join.")
DROPPED = Counter(
    "drift_dropped_total", "Predictions and labels that count nowhere.", ["model", "why"]
)
WINDOWS_UNJUDGED = Counter(
    "drift_windows_unjudged_total", "Windows without a comparison.", ["model", "why"]
)
COLUMNS_UNJUDGED = Counter(
    "drift_columns_unjudged_total",
    "Inputs that could not be compared while others of their window were.",
    ["model"],
)
WINDOWS_PUT_OFF = Counter(
    "drift_windows_put_off_total",
    "Times that a window had to wait since its version's reference could not be read.",
    ["model"],
)
TIME_SET_BACK = Counter(
    "drift_event_time_set_back_total",
    "Times that event time was set back, as all predictions lay before what is kept.",
    ["model"],
)
