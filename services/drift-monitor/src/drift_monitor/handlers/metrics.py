"""What the windows tell Prometheus."""

from prometheus_client import Counter, Gauge

DRIFT_ACTIVE = Gauge(
    "drift_active", "Whether drift was detected and not cleared.", ["model", "kind"]
)
WINDOW_LOSS = Gauge(
    "drift_window_log_loss", "Mean realised log-loss of the last window.", ["model", "version"]
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
