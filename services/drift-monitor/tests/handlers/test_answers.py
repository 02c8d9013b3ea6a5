"""Answers and labels of each task, from the stream to sums, bins and verdicts."""

import math
from datetime import timedelta

import numpy as np
import pytest

from drift_monitor.domain.join import Waiting
from drift_monitor.handlers.answers import InvalidAnswerError, answer_of
from drift_monitor.handlers.tables import JoinTable
from event_schemas import ArmMeasured, DriftDetected
from event_schemas.task import Loss
from servicekit.testing.metrics import metric_value

LIGHTS = ("green", "amber", "red")
MULTICLASS = {"task": "multiclass", "classes": LIGHTS}
EDGES = tuple(float(10 * i) for i in range(1, 20))
REGRESSION = {
    "task": "regression",
    "loss": Loss(name="absolute_error"),
    "answer_edges": EDGES,
    "reference_loss": 2.0,
}


def lights(green: float, amber: float) -> dict:
    scores = {"green": green, "amber": amber, "red": 1 - green - amber}
    return {"score": None, "scores": scores, "prediction": max(scores, key=scores.__getitem__)}


def number(value: float) -> dict:
    return {"score": None, "prediction": value}


@pytest.mark.parametrize(
    "wrong", [{"score": -1e308}, {"score": 1.5}, {"score": None, "scores": {"a": 1.0, "b": 1.0}}]
)
def test_what_no_version_answers_is_refused(make, wrong) -> None:
    with pytest.raises(InvalidAnswerError):
        answer_of(make.prediction(1, make.hour, **wrong))


def test_a_prediction_without_an_answer_has_failed(make) -> None:
    assert answer_of(make.prediction(1, make.hour, score=None)) is None
    assert answer_of(make.prediction(1, make.hour, error="timeout", **number(2.0))) is None


def test_a_multiclass_arm_counts_decisions_and_the_loss_of_the_true_class(world, make) -> None:
    world.publish(
        make.step(make.version(**MULTICLASS)),
        make.prediction(1, make.hour, **lights(0.7, 0.2)),
        make.prediction(2, make.hour, **lights(0.1, 0.2)),
        make.label(1, "amber", 2 * make.hour),
        make.label(2, "blue", 2 * make.hour),
        make.label(2, "red", 3 * make.hour),
        make.prediction(3, 2 * make.day, **lights(1, 0)),
    )
    [measured] = world.out(ArmMeasured)
    assert measured.scores.counts == (1, 0, 1)
    assert (measured.loss.n, measured.loss.positives) == (2, 0)
    assert measured.loss.total == pytest.approx(-math.log(0.2) - math.log(0.7))


def test_a_regression_arm_counts_numbers_between_its_edges(world, make) -> None:
    world.publish(
        make.step(make.version(**REGRESSION)),
        make.prediction(1, make.hour, **number(-5.0)),
        make.prediction(2, make.hour, **number(20.0)),
        make.prediction(3, make.hour, **number(1e9)),
        make.label(2, 17.0, 2 * make.hour),
        make.label(3, "1e9", 2 * make.hour),
        make.prediction(4, 2 * make.day, **number(0.0)),
    )
    [measured] = world.out(ArmMeasured)
    assert measured.scores.edges == EDGES
    assert [i for i, n in enumerate(measured.scores.counts) if n] == [0, 2, 19]
    assert (measured.loss.n, measured.loss.total) == (2, 3.0)


@pytest.mark.parametrize(
    ("task", "label"), [({}, 7.0), ({}, "late"), (REGRESSION, "late"), (REGRESSION, "nan")]
)
def test_a_label_that_the_task_cannot_have_is_a_dead_letter(world, make, task, label) -> None:
    world.publish(make.step(make.version(**task)), make.label(1, label, make.hour))
    [dead] = world.bus.messages("drift-monitor.dead")
    assert (
        b"give" in dict(dead.headers)["dead_text"] or b"finite" in dict(dead.headers)["dead_text"]
    )


def test_a_label_that_waited_for_a_version_of_another_task_is_counted_and_costs_nothing(
    world, make
) -> None:
    lost = {"model": "flight_delay", "why": "label that its version cannot have"}
    before = metric_value("drift_dropped_total", **lost)
    world.publish(
        make.step(make.version(**MULTICLASS)),
        make.label(1, "red", make.hour),
        make.step(make.version("2", **REGRESSION), sequence=1),
        make.prediction(1, make.hour, version="2", **number(3.0)),
        make.prediction(2, 2 * make.day, version="2", **number(3.0)),
    )
    assert [m.loss.n for m in world.out(ArmMeasured)] == [0]
    assert metric_value("drift_dropped_total", **lost) == before + 1


def test_a_loss_may_be_of_any_size(world, make) -> None:
    world.publish(
        make.step(make.version(**{**REGRESSION, "loss": Loss(name="squared_error")})),
        make.prediction(1, make.hour, **number(1e300)),
        make.label(1, 0.0, make.hour),
        make.prediction(2, 2 * make.day, **number(1e-12)),
        make.label(2, 0.0, 2 * make.day),
        make.prediction(3, 4 * make.day, **number(0.0)),
    )
    large, small = world.out(ArmMeasured)
    assert large.loss.total == 1e30
    assert small.loss.total == pytest.approx(1e-24)


@pytest.mark.parametrize(
    ("task", "calm", "moved", "reference"),
    [
        (MULTICLASS, lights(0.8, 0.1), lights(0.1, 0.1), np.array(["green"] * 200)),
        (REGRESSION, number(55.0), number(155.0), np.full(200, 55.0)),
    ],
)
def test_answers_that_moved_are_a_drift_of_predictions(
    worlds, make, task, calm, moved, reference
) -> None:
    world = worlds()
    world.references.columns = {**world.references.columns, "prediction": reference}
    world.publish(make.step(make.version(**task)))
    for week, answer in enumerate((calm, moved, moved)):
        after = timedelta(days=7 * week + 1)
        world.publish(*(make.prediction(100 * week + i, after, **answer) for i in range(30)))
        assert world.out(DriftDetected) == []
    world.publish(make.prediction("end", timedelta(days=28), **moved))
    [drift] = world.out(DriftDetected)
    assert (drift.kind, drift.features[0].feature) == ("prediction", "prediction")


@pytest.mark.parametrize(
    ("task", "answer", "label", "name"),
    [
        (MULTICLASS | {"reference_loss": 0.3}, lights(0.8, 0.1), "red", "log-loss"),
        (REGRESSION, number(55.0), 10.0, "absolute-error"),
    ],
)
def test_a_loss_above_the_promise_names_the_loss(worlds, make, task, answer, label, name) -> None:
    world = worlds()
    world.publish(make.step(make.version(**task)))
    for week in range(2):
        after = timedelta(days=7 * week + 1)
        for i in range(30):
            row = 100 * week + i
            world.publish(make.prediction(row, after, **answer), make.label(row, label, after))
    world.publish(make.prediction("end", timedelta(days=21), **answer))
    [drift] = [d for d in world.out(DriftDetected) if d.kind == "performance"]
    assert drift.reason.startswith(name)


@pytest.mark.parametrize(
    "waiting",
    [
        Waiting(5, "a/b", 7, 1, 0.25, 1.0, 9),
        Waiting(5, label="red", labelled=9),
        Waiting(5, "a/b", 7, 1, 0.7, "amber", 9, "multiclass", {"green": 0.7, "amber": 0.3}),
        Waiting(5, "a/b", -1, 0, 12.5, 3.0, 9, "regression"),
    ],
)
def test_what_waits_comes_back_from_the_state_topic(waiting) -> None:
    table = JoinTable()
    assert table._decode(table._encode(waiting)) == waiting or waiting.score != waiting.score
    assert repr(table._decode(table._encode(waiting))) == repr(waiting)
