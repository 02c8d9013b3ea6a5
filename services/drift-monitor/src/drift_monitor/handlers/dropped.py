"""What is left out is counted."""

from drift_monitor.handlers.metrics import DROPPED
from servicekit.telemetry.committed import when_committed


def drop(model: str, why: str) -> None:
    """Count a prediction or a label that counts nowhere."""
    when_committed(DROPPED.labels(model, why).inc)
