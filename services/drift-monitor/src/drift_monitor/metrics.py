"""The metric that both processes set: by window, and live."""

from prometheus_client import Gauge

DRIFT_SCORE = Gauge(
    "drift_score",
    "Distance of a feature, or of the score, from the version's reference (Jensen-Shannon).",
    ["model", "feature"],
)
