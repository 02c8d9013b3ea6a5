"""Metrics of the trainer."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "retrain_decisions_total",
    "Requests for retraining, by what became of them.",
    ["model", "cause", "decision"],
)
IN_FLIGHT = Gauge("training_in_flight", "Whether an accepted training has not ended.", ["model"])
INVALID = Gauge(
    "model_folder_invalid",
    "Whether nothing can be trained by a model's folder as it is; the log says why.",
    ["model"],
)
FEED_BROKEN = Gauge(
    "training_feed_broken", "Whether trainings are refused since a feed is broken.", ["model"]
)
TRAININGS = Counter(
    "trainings_total", "Trainings that ended: approved, rejected or failed.", ["model", "outcome"]
)
DECIDE_SECONDS = Histogram(
    "loop_decide_seconds",
    "Wall time from the acceptance of a request for retraining to the verdict on its version.",
    ["model"],
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600),
)
