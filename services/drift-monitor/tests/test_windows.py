"""Windows: when drift is detected, reminded of and cleared."""

import random
from datetime import timedelta

import numpy as np
import pytest

from event_schemas import ArmMeasured, DriftCleared, DriftDetected
from event_schemas.policy import Feature
from servicekit.testing.metrics import metric_value

WEEK = timedelta(days=7)
FINE = {"distance": 100.0, "carrier": "UA", "temp": 1.0}
MOVED = {"distance": 900.0, "carrier": "AA", "temp": 1.0}


def week(make, number, rows=30, *, label=None, **changes):
    """Predictions spread over a week, with their labels."""
    out = []
    for row in range(rows):
        after = number * WEEK + row * WEEK / rows
        name = f"{number}-{row}-{changes.get('version', '1')}"
        out.append(make.prediction(name, after, **changes))
        if label is not None:
            out.append(make.label(name, label, after + make.hour))
    return out


def end(make, number):
    """The prediction whose event time closes the weeks before."""
    return make.prediction(f"end-{number}", number * WEEK + 13 * make.hour, arm="shadow")


@pytest.fixture
def steady(world, make):
    """A world in which version 1 is in force."""
    world.publish(make.step(make.version()))
    return world


def test_data_drift_is_detected_after_two_windows_that_agree(steady, make):
    steady.publish(*week(make, 0, features=MOVED), end(make, 1))
    assert steady.out(DriftDetected) == []
    steady.publish(*week(make, 1, features=MOVED), end(make, 2))
    [drift] = steady.out(DriftDetected)
    assert (drift.kind, drift.version, drift.rows) == ("data", "1", 30)
    assert drift.window.start == make.start + WEEK
    assert {f.feature: f.drifted for f in drift.features} == {
        "distance": True,
        "carrier": True,
        "temp": False,
    }
    distance = next(f for f in drift.features if f.feature == "distance")
    assert distance.effect == pytest.approx(800.0)
    assert "2 of 2 watched inputs drifted" in drift.reason
    assert drift.report_uri == "file:///reports/flight_delay/1/20130110T000000-20130117T000000"


def test_the_page_for_people_is_only_kept_when_drift_is_detected(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED), end(make, 2))
    assert list(steady.reports.saved.values()) == [False, True]


def test_inputs_that_are_not_watched_do_not_count(steady, make):
    hot = {**FINE, "temp": 30.0}
    steady.publish(*week(make, 0, features=hot), *week(make, 1, features=hot), end(make, 2))
    assert steady.out(DriftDetected) == []


def test_drift_is_said_once_reminded_of_and_cleared(worlds, make):
    world = worlds(remind_windows=3)
    world.publish(make.step(make.version()))
    for number in range(6):
        world.publish(*week(make, number, features=MOVED))
    for number in range(6, 8):
        world.publish(*week(make, number, features=FINE))
    world.publish(end(make, 8))
    starts = [(d.window.start - make.start) // WEEK for d in world.out(DriftDetected)]
    assert starts == [1, 4]
    [cleared] = world.out(DriftCleared)
    assert (cleared.kind, (cleared.window.start - make.start) // WEEK) == ("data", 7)


def test_a_window_with_too_few_rows_says_nothing_and_interrupts_nothing(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, 19, features=FINE))
    steady.publish(*week(make, 2, features=MOVED), end(make, 3))
    assert [d.kind for d in steady.out(DriftDetected)] == ["data"]


def test_a_window_of_just_enough_rows_is_judged(steady, make):
    steady.publish(*week(make, 0, 20, features=MOVED), *week(make, 1, 20, features=MOVED))
    steady.publish(end(make, 2))
    assert [d.kind for d in steady.out(DriftDetected)] == ["data"]


def test_a_window_without_any_prediction_is_no_window(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 9, features=MOVED), end(make, 10))
    assert [d.kind for d in steady.out(DriftDetected)] == ["data"]


def test_scores_that_move_are_a_prediction_drift(steady, make):
    steady.publish(*week(make, 0, score=0.9), *week(make, 1, score=0.9), end(make, 2))
    [drift] = steady.out(DriftDetected)
    assert drift.kind == "prediction"
    assert drift.features[0].effect == pytest.approx(0.925 - 0.25)


def test_a_feed_that_is_gone_is_said_at_once_and_is_no_data_drift(steady, make):
    gone = {"distance": None, "carrier": "UA", "temp": 1.0}
    steady.publish(*week(make, 0, features=gone), end(make, 1))
    [broken] = steady.out(DriftDetected)
    assert broken.kind == "broken_feed"
    assert "distance" in broken.reason
    steady.publish(*week(make, 1, features=gone), *week(make, 2), end(make, 3))
    assert [d.kind for d in steady.out(DriftDetected)] == ["broken_feed"]
    assert [c.kind for c in steady.out(DriftCleared)] == ["broken_feed"]


def test_when_every_feed_is_gone_that_alone_is_said(steady, make):
    steady.publish(*week(make, 0, features={}), *week(make, 1, features={}), end(make, 2))
    assert [d.kind for d in steady.out(DriftDetected)] == ["broken_feed"]


def test_a_loss_above_the_promise_is_a_performance_drift(worlds, make):
    world = worlds()
    world.publish(make.step(make.version(reference_loss=0.3)))
    world.publish(*week(make, 0, label=1.0), *week(make, 1, label=1.0), end(make, 2))
    [drift] = world.out(DriftDetected)
    assert drift.kind == "performance"
    assert "promised 0.3," in drift.reason
    assert "30 labelled rows" in drift.reason


def test_a_loss_as_promised_is_fine(steady, make):
    steady.publish(*week(make, 0, label=0.0), *week(make, 1, label=0.0), end(make, 2))
    assert steady.out(DriftDetected) == []


def test_without_labels_nothing_is_said_of_the_performance(worlds, make):
    world = worlds()
    world.publish(make.step(make.version(reference_loss=0.001)))
    world.publish(*week(make, 0), *week(make, 1, 30), end(make, 2))
    world.publish(*(make.label(f"0-{i}-1", 1.0, 15 * make.day) for i in range(30)))
    assert world.out(DriftDetected) == []


def test_only_the_version_in_force_is_judged(steady, make):
    one, two = make.version("1"), make.version("2")
    steady.publish(make.step(one, two, weight=0.5, sequence=1))
    for number in (0, 1):
        steady.publish(
            *week(make, number, version="2", arm="challenger", weight=0.5, features=MOVED)
        )
    steady.publish(end(make, 2))
    assert steady.out(DriftDetected) == []
    assert steady.reports.saved == {}


def test_a_challenger_on_probation_is_in_force(steady, make):
    one, two = make.version("1"), make.version("2")
    steady.publish(make.step(one, two, weight=1.0, sequence=1))
    for number in (0, 1):
        steady.publish(
            *week(make, number, version="2", arm="challenger", weight=1.0, features=MOVED)
        )
    steady.publish(end(make, 2))
    assert [d.version for d in steady.out(DriftDetected)] == ["2"]


def test_a_new_version_starts_afresh_and_clears_what_the_old_one_had(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED), end(make, 2))
    steady.publish(*week(make, 2, 15, features=MOVED))
    steady.publish(make.step(make.version("2"), sequence=1))
    [cleared] = steady.out(DriftCleared)
    assert (cleared.version, cleared.kind) == ("1", "data")
    steady.publish(*week(make, 3, version="2", features=MOVED), end(make, 4))
    assert len(steady.out(DriftDetected)) == 1
    steady.publish(*week(make, 4, version="2", features=MOVED), end(make, 5))
    assert [d.version for d in steady.out(DriftDetected)] == ["1", "2"]


def test_an_older_step_that_comes_late_changes_nothing(steady, make):
    steady.publish(make.step(make.version("2"), sequence=5))
    steady.publish(make.step(make.version("1"), sequence=4))
    for number in (0, 1):
        steady.publish(*week(make, number, version="2", features=MOVED))
    steady.publish(end(make, 2))
    assert [d.version for d in steady.out(DriftDetected)] == ["2"]


def test_a_suspicion_closes_the_window_early_when_it_has_rows_enough(steady, make):
    steady.publish(*week(make, 0, features=MOVED))
    steady.publish(*week(make, 1, features=MOVED)[:25], make.suspected())
    [drift] = steady.out(DriftDetected)
    assert drift.rows == 25
    assert drift.window.end < make.start + 2 * WEEK
    steady.publish(make.suspected())
    steady.publish(*week(make, 1, features=MOVED)[25:], end(make, 2))
    assert len(steady.out(DriftDetected)) == 1


def test_a_suspicion_of_a_window_with_too_few_rows_waits_for_its_end(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED)[:19])
    steady.publish(make.suspected())
    assert steady.out(DriftDetected) == []


def test_a_label_of_the_early_part_does_not_count_in_the_rest(steady, make):
    steady.publish(*week(make, 0, 40)[:30], make.suspected())
    steady.publish(make.label("0-0-1", 1.0, make.day))
    windows = [w for _, w in steady.loop._tables["windows"].items()]
    assert [w.loss.n for w in windows] == [0]
    steady.publish(end(make, 2))
    [again] = [m for m in steady.out(ArmMeasured) if m.revision == 1]
    assert again.loss.n == 1


def test_without_the_reference_there_is_no_comparison_but_the_stream_goes_on(steady, make):
    steady.references.bad = True
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED), end(make, 2))
    assert steady.out(DriftDetected) == []
    assert steady.bus.messages("drift-monitor.dead") == []
    assert steady.out(ArmMeasured)


def test_fault_3_1_an_outage_of_the_references_puts_a_window_off_and_loses_nothing(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED))
    steady.references.outages = 1
    steady.publish(end(make, 2))
    assert steady.out(DriftDetected) == []
    measured = len(steady.out(ArmMeasured))
    assert measured, "arms are measured on time"
    steady.publish(make.prediction("later", 2 * WEEK + 15 * make.hour, arm="shadow"))
    assert [d.kind for d in steady.out(DriftDetected)] == ["data"]


def test_fault_3_1_a_reference_that_stays_away_costs_the_comparison_and_not_the_loss(worlds, make):
    world = worlds()
    world.publish(make.step(make.version()))
    world.references.outages = 1_000_000
    for number in (0, 1):
        world.publish(*week(make, number, 1000, label=1.0))
    world.publish(end(make, 2), end(make, 3), end(make, 4))
    assert [d.kind for d in world.out(DriftDetected)] == ["performance"]


def test_fault_3_1_what_fails_in_one_comparison_stops_no_other_model(steady, make):
    def broken(uri, sha256, columns):
        raise TypeError("an array of nobody knows what")

    other = make.version(model="other")
    steady.publish(make.step(other))
    load = steady.references.load
    steady.references.load = broken
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED), end(make, 2))
    assert steady.bus.messages("drift-monitor.dead") == []
    steady.references.load = load
    for number in (0, 1):
        steady.publish(*week(make, number, features=MOVED, model="other"))
    steady.publish(make.prediction("o", 2 * WEEK + 13 * make.hour, arm="shadow", model="other"))
    assert [(d.model, d.kind) for d in steady.out(DriftDetected)] == [("other", "data")]


def test_fault_3_1_a_suspicion_waits_while_the_reference_is_away(steady, make):
    steady.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED)[:30])
    steady.references.outages = 1
    steady.publish(make.suspected())
    assert steady.bus.messages("drift-monitor.dead") == []
    steady.publish(make.suspected())
    assert steady.out(DriftDetected), "when it is asked again"


def test_a_report_that_fails_costs_that_comparison_alone(steady, make):
    steady.reports.fails = True
    for number in (0, 1):
        steady.publish(*week(make, number, score=0.9, features=MOVED))
    steady.publish(end(make, 2))
    assert [d.kind for d in steady.out(DriftDetected)] == ["prediction"]


def test_the_sample_is_bounded_and_depends_on_the_ids_alone(worlds, make):
    rows = week(make, 0, 900)
    for number, row in enumerate(rows):
        row.features["distance"] = float(number)
    seen = []
    for order in (rows, random.Random(1).sample(rows, len(rows))):
        world = worlds()
        world.publish(make.step(make.version()))
        caught = []
        real = world.reports.compare
        world.reports.compare = lambda *a, real=real, caught=caught: (
            caught.append(a[2]["distance"]) or real(*a)
        )
        world.publish(*order, end(make, 2))
        seen.append(caught[0])
    assert len(seen[0]) == 100
    assert np.array_equal(*seen)


def test_rows_of_a_closed_window_are_deleted_from_the_state(steady, make):
    steady.publish(*week(make, 0, 300), end(make, 1))
    kept = {m.key: m.value for m in steady.bus.messages("drift-monitor.state")}
    alive = [key for key, value in kept.items() if key.startswith(b"rows/") and value is not None]
    assert alive == []
    assert any(key.startswith(b"rows/") for key in kept)


def test_a_version_that_nobody_named_is_measured_but_not_judged(world, make):
    world.publish(*week(make, 0, features=MOVED), *week(make, 1, features=MOVED), end(make, 2))
    assert world.out(DriftDetected) == []
    assert world.out(ArmMeasured)


def test_fault_6_8_inputs_with_names_of_ours_are_compared_as_inputs(worlds, make):
    world = worlds()
    asked = [Feature(name=n, kind="number", source="request") for n in ("score", "label")]
    world.references.columns = {
        "score": np.full(200, 100.0),
        "label": np.full(200, 7.0),
        "score_": np.full(200, 0.25),
    }
    world.publish(make.step(make.version(features=tuple(asked))))
    row = {"score": 100.0, "label": 7.0}
    for week in range(3):
        after = timedelta(days=7 * week + 1)
        world.publish(*(make.prediction(100 * week + i, after, features=row) for i in range(30)))
    world.publish(make.prediction("end", timedelta(days=28), features=row))
    assert world.reports.rows == [30, 30, 30]
    assert world.out(DriftDetected) == []
    drift = {"model": "flight_delay"}
    assert metric_value("drift_score", feature="score", **drift) == 0
    assert metric_value("drift_score", feature="score_", **drift) == 0


def test_fault_6_8_an_input_that_cannot_be_compared_costs_itself(worlds, make):
    world = worlds()
    compare = world.reports.compare

    def without_carrier(columns, *rest):
        report = compare([c for c in columns if c.name != "carrier"], *rest)
        report.failed = {"carrier": "ValueError: the library refused"}
        return report

    world.reports.compare = without_carrier
    before = metric_value("drift_columns_unjudged_total", model="flight_delay")
    far = {"features": {"distance": 900.0, "carrier": "UA", "temp": 1.0}}
    world.publish(make.step(make.version()))
    world.publish(*week(make, 0, **far), *week(make, 1, **far), end(make, 2))
    [drift] = [d for d in world.out(DriftDetected) if d.kind == "data"]
    assert {f.feature for f in drift.features} == {"distance", "temp"}
    assert metric_value("drift_columns_unjudged_total", model="flight_delay") == before + 2
