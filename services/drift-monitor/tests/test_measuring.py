"""Slices: what arm.measured says."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from drift_monitor.handlers.events import micros
from event_schemas import ArmMeasured
from servicekit.testing.metrics import metric_value

NOBODY = "label of a model that nobody knows"


def test_a_slice_is_measured_when_the_watermark_has_passed_its_end_and_the_lateness(world, make):
    world.publish(make.prediction(1, make.hour), make.prediction(2, make.day + 11 * make.hour))
    assert world.out(ArmMeasured) == []
    world.publish(make.prediction(3, make.day + 12 * make.hour))
    [measured] = world.out(ArmMeasured)
    assert (measured.n, measured.revision) == (1, 0)
    assert measured.window.start == make.start
    assert measured.window.end == make.start + make.day


def test_arms_versions_and_rollouts_are_measured_apart(world, make):
    world.publish(
        make.prediction(1, make.hour, arm="champion", version="1", weight=0.1),
        make.prediction(2, make.hour, arm="challenger", version="2", weight=0.1),
        make.prediction(3, make.hour, arm="shadow", version="3", weight=0.1),
        make.prediction(4, make.hour, arm="champion", version="1", rollout_id="r2"),
        make.prediction(5, 2 * make.day),
    )
    arms = [(m.arm, m.version, m.rollout_id, m.weight, m.n) for m in world.out(ArmMeasured)]
    assert sorted(arms) == [
        ("challenger", "2", "r1", 0.1, 1),
        ("champion", "1", "r1", 0.1, 1),
        ("champion", "1", "r2", 0.0, 1),
        ("shadow", "3", "r1", 0.1, 1),
    ]


def test_a_measurement_holds_errors_latency_scores_and_the_loss_of_what_is_labelled(world, make):
    world.publish(
        make.prediction(1, make.hour, score=0.25, latency={"total_ms": 10.0}),
        make.prediction(2, make.hour, score=1.0, latency={"total_ms": 10.0}),
        make.prediction(3, make.hour, score=None, error="timeout", latency={"total_ms": 900.0}),
        make.label(1, 1.0, 3 * make.hour),
        make.label(3, 1.0, 3 * make.hour),
        make.prediction(4, 2 * make.day),
    )
    [measured] = world.out(ArmMeasured)
    assert (measured.n, measured.errors, measured.label_maturity) == (3, 1, 0.5)
    assert measured.scores.counts[5] == 1
    assert measured.scores.counts[19] == 1
    assert measured.loss.n == 1
    assert measured.loss.positives == 1
    assert measured.loss.total == pytest.approx(-math.log(0.25), abs=1e-9)
    assert measured.loss.total_squared == pytest.approx(math.log(0.25) ** 2, abs=1e-9)
    assert measured.latency_ms["p50"] == pytest.approx(10.0, rel=0.1)
    assert measured.latency_ms["p99"] == pytest.approx(900.0, rel=0.1)


def test_a_prediction_of_a_named_version_counts_in_no_arm_and_is_not_missed(world, make):
    world.publish(
        make.prediction(1, make.hour, sequence=0),
        make.prediction(2, make.hour, sequence=1, pinned=True, arm="challenger", version="2"),
        make.label(2, 1.0, 2 * make.hour),
        make.prediction(3, make.hour, sequence=2),
        make.prediction(4, 2 * make.day, sequence=3),
    )
    [measured] = world.out(ArmMeasured)
    assert (measured.arm, measured.n, measured.loss.n) == ("champion", 2, 0)
    assert measured.coverage == 1.0


def test_a_repeated_prediction_counts_once(world, make):
    once = make.prediction(1, make.hour)
    world.publish(once, once.model_copy(update={"sequence": 1, "score": 0.9}))
    world.publish(make.prediction(2, 2 * make.day, sequence=2))
    [measured] = world.out(ArmMeasured)
    assert measured.n == 1
    assert measured.scores.counts[5] == 1
    assert measured.coverage == 1.0


def test_late_labels_measure_a_slice_again_once_the_next_slice_closes(world, make):
    world.publish(make.prediction(1, make.hour), make.prediction(2, 2 * make.day))
    world.publish(make.label(1, 1.0, 2 * make.day), make.label(1, 0.0, 3 * make.day))
    assert [m.revision for m in world.out(ArmMeasured)] == [0]
    world.publish(make.prediction(3, 4 * make.day))
    again = world.out(ArmMeasured)[1]
    assert (again.window.start, again.revision) == (make.start, 1)
    assert (again.loss.n, again.loss.positives) == (1, 0)
    world.publish(make.prediction(4, 6 * make.day))
    assert [m.revision for m in world.out(ArmMeasured)].count(1) == 1


def test_a_label_that_comes_before_its_prediction_waits_for_it(world, make):
    world.publish(make.step(make.version()))
    world.publish(make.label(1, 1.0, make.hour), make.prediction(1, make.hour))
    world.publish(make.prediction(2, 2 * make.day))
    assert world.out(ArmMeasured)[0].loss.n == 1


def test_an_older_label_does_not_replace_a_newer_one(world, make):
    world.publish(make.prediction(1, make.hour))
    world.publish(make.label(1, 1.0, 5 * make.hour), make.label(1, 0.0, 4 * make.hour))
    world.publish(make.prediction(2, 2 * make.day))
    assert world.out(ArmMeasured)[0].loss.positives == 1


def test_a_label_that_is_no_label_goes_to_the_dead_letters_with_the_reason(world, make):
    world.publish(make.prediction(1, make.hour), make.label(1, 0.5, make.hour))
    [dead] = world.bus.messages("drift-monitor.dead")
    assert b"label is 0.5" in dict(dead.headers)["dead_text"]


def test_what_a_replica_sent_and_nobody_received_lowers_the_coverage(world, make):
    for number, sequence in enumerate([0, 1, 2, 5, 6, 7, 8, 9]):
        world.publish(make.prediction(number, make.hour, sequence=sequence))
    world.publish(make.prediction("later", 2 * make.day, sequence=10))
    assert world.out(ArmMeasured)[0].coverage == pytest.approx(0.8)


def test_what_was_not_to_be_logged_is_no_gap_and_is_told(world, make):
    for number in range(10):
        world.publish(make.prediction(number, make.hour, sampling_rate=0.25))
    world.publish(make.prediction("next", 2 * make.day))
    [measured] = [m for m in world.out(ArmMeasured) if m.n == 10]
    assert (measured.coverage, measured.sampling_rate) == (1.0, 0.25)


def test_the_other_arm_is_no_gap_in_the_coverage(world, make):
    for number in range(10):
        arm = "challenger" if number % 2 else "champion"
        world.publish(make.prediction(number, make.hour, arm=arm, sequence=number, weight=0.5))
    world.publish(make.prediction("later", 2 * make.day, sequence=10))
    assert [m.coverage for m in world.out(ArmMeasured)] == [1.0, 1.0]


def test_labels_and_predictions_are_let_go_after_their_wait(world, make):
    drift = make.policy(label_ttl=timedelta(days=2))
    world.publish(make.step(make.version(drift=drift)))
    world.publish(make.prediction(1, make.hour), make.label(99, 1.0, make.hour))
    world.publish(make.prediction(2, 4 * make.day), make.label(1, 1.0, make.hour))
    world.publish(make.prediction(1, make.hour), make.prediction(3, 6 * make.day))
    kept = {m.key for m in _state(world) if m.key.startswith(b"join/")}
    assert kept == {b"join/flight_delay/p2", b"join/flight_delay/p3"}
    assert [(m.n, m.loss.n) for m in world.out(ArmMeasured)] == [(1, 0), (1, 0)]


def test_no_slice_or_sequence_is_kept_for_ever(world, make):
    for week in range(20):
        world.publish(make.prediction(week, week * 7 * make.day, replica=f"pod-{week}"))
    tables = [m.key.split(b"/")[0] for m in _state(world)]
    assert tables.count(b"slices") <= 6
    assert tables.count(b"replicas") <= 6
    assert tables.count(b"join") <= 6


def test_one_clock_that_runs_ahead_closes_nothing(worlds, make):
    world = worlds(jump_votes=3)
    world.publish(*(make.prediction(i, make.hour) for i in range(5)))
    world.publish(make.prediction("ahead", 900 * make.day))
    world.publish(*(make.prediction(f"b{i}", 2 * make.hour) for i in range(5)))
    assert world.out(ArmMeasured) == []
    world.publish(*(make.prediction(f"c{i}", 2 * make.day) for i in range(5)))
    assert [m.n for m in world.out(ArmMeasured)] == [10]


def _state(world):
    kept = {m.key: m for m in world.bus.messages("drift-monitor.state")}
    return [m for m in kept.values() if m.value is not None]


def test_after_a_standstill_longer_than_labels_are_waited_for_all_of_them_count(world, make):
    version = make.version("1", drift=make.policy(label_ttl="P3D"))
    world.publish(make.trained(version), make.step(version))
    for day in range(12):
        # Nothing is handled meanwhile: only the order in which it was written tells of days.
        world.bus.publish(make.prediction(day, day * make.day))
        world.bus.publish(make.label(day, 1.0, day * make.day + make.hour))
        world.bus.clock.advance(make.day)
    world.run()
    world.publish(make.prediction("last", 14 * make.day))
    newest = {m.window.start: m for m in world.out(ArmMeasured)}
    assert [(m.n, m.loss.n) for m in newest.values()] == [(1, 1)] * 12


def test_fault_1_2_a_label_from_the_future_is_refused_and_beats_no_truth(world, make):
    world.publish(make.step(make.version()), make.prediction(1, make.hour))
    future = datetime(9999, 1, 1, tzinfo=UTC)
    world.publish(make.label(1, 0.0, make.hour, observed_at=future))
    [letter] = world.bus.messages("drift-monitor.dead")
    assert b"MAX_LABEL_FUTURE_SECONDS" in dict(letter.headers)["dead_text"]
    world.publish(make.label(1, 1.0, 2 * make.hour), make.prediction(2, 2 * make.day))
    assert world.out(ArmMeasured)[0].loss.positives == 1


@pytest.mark.parametrize(("seconds", "refused"), [(290, 0), (400, 1)])
def test_fault_1_2_a_clock_may_run_a_little_ahead(world, make, seconds, refused):
    world.publish(make.step(make.version()))
    ahead = datetime.now(UTC) + timedelta(seconds=seconds)
    world.publish(make.label(1, 0.0, make.hour, observed_at=ahead))
    assert len(world.bus.messages("drift-monitor.dead")) == refused


def test_fault_1_2_labels_of_a_model_that_nobody_knows_are_not_kept(world, make):
    before = metric_value("drift_dropped_total", model="unknown", why=NOBODY)
    for number in range(20):
        world.publish(make.label(number, 1.0, make.hour, model=f"stranger-{number}"))
    assert len(world.table("join")) == 0
    assert metric_value("drift_dropped_total", model="unknown", why=NOBODY) == before + 20


def test_fault_1_2_labels_without_a_prediction_have_a_limit_also_after_a_restart(worlds, make):
    world = worlds(max_waiting_labels=3)
    world.publish(make.step(make.version()))
    world.publish(*[make.label(number, 1.0, make.hour) for number in range(3)])
    world.start()
    world.publish(make.prediction(0, make.hour), make.label(3, 1.0, make.hour))
    assert len(world.table("join")) == 4, "three wait, and the one with its prediction"
    world.publish(make.label(4, 1.0, make.hour))
    assert len(world.table("join")) == 4, "the oldest had to go"
    world.publish(make.prediction(1, make.hour), make.prediction(9, 2 * make.day))
    assert world.out(ArmMeasured)[0].loss.n == 1


def test_fault_2_4_a_replica_is_known_while_any_of_its_models_may_ask(worlds, make):
    world = worlds(max_event_time_jump=timedelta(days=1000))
    other = make.version(model="slow")
    world.publish(make.step(make.version()), make.step(other))
    world.publish(make.prediction("slow-1", make.hour, model="slow", sequence=0))
    world.publish(make.prediction(1, make.hour, sequence=1))
    world.publish(make.prediction(2, 400 * make.day, replica="b"))  # far ahead, of the fast one
    world.publish(make.prediction("slow-2", 2 * make.hour, model="slow", sequence=5))
    world.publish(make.prediction("slow-3", 2 * make.day, model="slow", sequence=6))
    [measured] = [m for m in world.out(ArmMeasured) if m.model == "slow"]
    assert measured.coverage < 1, "2 to 4 are missing"


def test_fault_4_1_event_time_is_set_back_when_all_that_comes_lies_before_what_is_kept(
    worlds, make, caplog
):
    world = worlds(back_votes=10)
    world.publish(make.step(make.version()))
    world.publish(make.prediction("today", 4000 * make.day))
    for number in range(9):
        world.publish(make.prediction(number, number * make.hour))
    assert "is not counted" in caplog.text
    assert caplog.text.count("is not counted") == 1, "once, and counted from then on"
    world.publish(make.prediction(9, 9 * make.hour))
    assert "event time is set back" in caplog.text
    for number in range(10, 100):
        world.publish(make.prediction(number, number * make.hour))
    assert sum(m.n for m in world.out(ArmMeasured) if m.window.start < make.start + make.day) == 14


def test_fault_4_1_a_late_one_now_and_then_sets_nothing_back(worlds, make):
    world = worlds(back_votes=3)
    world.publish(make.step(make.version()))
    for number in range(20):
        world.publish(make.prediction(f"late-{number}", make.hour - 2000 * make.day))
        world.publish(make.prediction(number, number * make.hour))
    clock = world.table("clocks").get("flight_delay")
    assert clock.watermark.time == micros(make.start + 19 * make.hour)


@pytest.mark.parametrize("score", [-1e308, 1.0000001, -1e-9, 2.0])
def test_fault_6_15_a_score_that_is_no_probability_counts_nowhere(world, make, score):
    world.publish(make.step(make.version()), make.prediction(1, make.hour, score=score))
    [letter] = world.bus.messages("drift-monitor.dead")
    assert b"a probability lies between 0 and 1" in dict(letter.headers)["dead_text"]
    world.publish(make.prediction(2, make.hour, score=1.0), make.prediction(3, 2 * make.day))
    assert world.out(ArmMeasured)[0].n == 1


def test_fault_4_1_old_predictions_that_are_sent_again_set_nothing_back(worlds, make):
    world = worlds(back_votes=10, max_event_time_jump=timedelta(days=1000))
    world.publish(make.step(make.version()))
    old = [make.prediction(number, number * make.hour / 10) for number in range(20)]
    world.publish(*old)
    world.publish(*[make.prediction(f"new-{n}", 60 * make.day + n * make.hour) for n in range(20)])
    measured = len(world.out(ArmMeasured))
    world.publish(*old)
    assert len(world.out(ArmMeasured)) == measured
    clock = world.table("clocks").get("flight_delay")
    assert clock.watermark.time == micros(make.start + 60 * make.day + 19 * make.hour)
