"""What Faust and its client have no setting for."""

import logging

import pytest

from drift_monitor.watch import faust_patches as module
from drift_monitor.watch.faust_patches import LOG_SECONDS, LogThrottle


def test_an_error_of_a_logger_passes_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    throttle = LogThrottle()

    def passes(level: int) -> bool:
        return throttle.filter(logging.LogRecord("aiokafka", level, "", 0, "away", None, None))

    assert [passes(logging.ERROR) for _ in range(3)] == [True, False, False]
    assert passes(logging.INFO), "what is no error is not counted"
    now[0] += LOG_SECONDS
    assert passes(logging.WARNING)
