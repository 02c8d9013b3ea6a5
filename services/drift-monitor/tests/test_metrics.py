"""What Prometheus hears of the windows."""

import math

import pytest

from drift_monitor.domain.loss import estimated_loss
from event_schemas import DriftDetected
from servicekit.testing.metrics import metric_value

DAY = 86400
MODEL = "flight_delay"
MOVED = {"distance": 900.0, "carrier": "AA", "temp": 1.0}


def value(name, **labels):
    return metric_value(name, model=MODEL, **labels)


def week(make, number, **changes):
    """Predictions spread over a week."""
    return [
        make.prediction(f"{number}-{row}", (7 * number + 7 * row / 30) * make.day, **changes)
        for row in range(30)
    ]


@pytest.fixture
def drifting(world, make):
    """A world in which two weeks of other inputs have been detected."""
    world.publish(make.step(make.version()))
    world.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED))
    world.publish(make.prediction("end", 14.5 * make.day, arm="shadow"))
    assert [drift.kind for drift in world.out(DriftDetected)] == ["data"]
    return world


def test_drift_is_a_gauge_until_another_version_takes_over(drifting, make):
    assert value("drift_active", kind="data") == 1
    assert value("drift_bad_windows", kind="data") == 2
    drifting.publish(make.step(make.version("2"), sequence=1))
    assert value("drift_active", kind="data") == 0
    assert value("drift_bad_windows", kind="data") == 0


def test_a_new_process_tells_again_what_it_finds_in_its_state(drifting, make):
    from drift_monitor.handlers.metrics import DRIFT_ACTIVE

    DRIFT_ACTIVE.labels(MODEL, "data").set(0)
    drifting.loop.close()
    drifting.start()
    assert value("drift_active", kind="data") == 1


def test_detection_is_timed_from_the_first_bad_window_and_a_reminder_is_none(worlds, make):
    world = worlds(remind_windows=1)
    world.publish(make.step(make.version()))
    names = ("loop_detect_seconds_count", "loop_detect_seconds_sum")
    count, total = (value(name, kind="data") for name in names)
    for number in range(4):
        world.publish(*week(make, number, features=MOVED))
    world.publish(make.prediction("end", 28.5 * make.day, arm="shadow"))
    assert len(world.out(DriftDetected)) == 3
    assert value(names[0], kind="data") == count + 1
    # Two weeks, and the half day or more for which the second one waits for stragglers.
    assert 14 * DAY < value(names[1], kind="data") - total < 15 * DAY


def test_each_window_has_its_promised_and_its_estimated_loss(drifting):
    assert value("drift_promised_loss", version="1") == 0.5
    # Every score is 0.25, which lies in the bin from 0.25 to 0.30.
    p = 0.275
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    estimated = value("drift_window_estimated_log_loss", version="1")
    assert estimated == pytest.approx(entropy)


def test_the_estimated_loss_is_least_for_sure_scores_and_unknown_without_any():
    unsure, sure = [0, 0, 1, 1, 0, 0], [1, 0, 0, 0, 0, 1]
    assert 0 < estimated_loss(sure) < estimated_loss(unsure) < math.log(2)
    assert math.isnan(estimated_loss([0, 0]))
