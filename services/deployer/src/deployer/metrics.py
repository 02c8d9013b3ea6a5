"""The metrics of rollouts."""

from prometheus_client import Counter, Gauge, Histogram

WEIGHT = Gauge(
    "rollout_weight", "Share of the entities that the challenger answers, 0 to 1.", ["model"]
)
PHASE = Gauge("rollout_phase", "1 for the phase that a model's rollout is in.", ["model", "phase"])
SEQUENCE = Gauge("rollout_sequence", "Number of the step in force.", ["model"])
ROLLOUTS = Counter("rollouts_total", "Rollouts that ended.", ["model", "outcome"])
IGNORED = Counter(
    "rollout_approvals_ignored_total", "Approvals of versions that had their rollout.", ["model"]
)
RECOVER_SECONDS = Histogram(
    "loop_recover_seconds",
    "Event time from the end of a version's training data to its promotion. What drift makes the"
    " trainer train on ends at the window that was detected.",
    ["model"],
    buckets=[86400 * days for days in (0.25, 1, 2, 3, 5, 7, 10, 14, 21, 28, 42, 60, 90)],
)
