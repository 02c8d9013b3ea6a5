"""What answers cost, what labels name, and which tasks contradict themselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from event_schemas.task import (
    CLIP,
    LOSSES,
    InvalidLabelError,
    Loss,
    Task,
    class_of,
    contradictions,
    decision,
    loss_of_class,
    loss_of_number,
    number_of,
)

LIGHTS = ("green", "amber", "red")
LOG = Loss()
STOP = Loss(name="cost", costs=((0, 1, 1), (5, 0, 1), (50, 9, 0)))


@pytest.mark.parametrize("name", ["binary", "binary_classification"])
def test_a_binary_model_has_its_old_name_on_the_wire(name: str) -> None:
    task = TypeAdapter(Task)
    assert task.validate_python(name) == "binary"
    assert task.dump_python("binary", mode="json") == "binary_classification"


def test_a_task_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="multiclass"):
        TypeAdapter(Task).validate_python("ranking")


@given(st.floats(0, 1), st.integers(0, 1))
def test_the_log_loss_of_a_binary_model_is_that_of_two_classes(score: float, label: int) -> None:
    p = min(max(score if label else 1 - score, CLIP), 1 - CLIP)
    assert loss_of_class(LOG, (1 - score, score), label) == pytest.approx(-math.log(p))


def test_a_class_that_the_model_does_not_know_costs_the_most() -> None:
    assert loss_of_class(LOG, (0.5, 0.3, 0.2), -1) == pytest.approx(-math.log(CLIP))
    assert loss_of_class(STOP, (1.0, 0.0, 0.0), -1) == 50


def test_the_decision_is_the_likeliest_class_or_that_of_the_least_expected_cost() -> None:
    scores = (0.9, 0.05, 0.05)
    assert decision(LOG, scores) == 0
    assert decision(STOP, scores) == 2  # the columns cost 2.75, 1.35 and .95
    assert loss_of_class(STOP, scores, 2) == STOP.costs[2][decision(STOP, scores)]


def test_losses_of_a_number() -> None:
    assert loss_of_number(Loss(name="squared_error"), 3, 5) == 4
    assert loss_of_number(Loss(name="absolute_error"), 3, 5) == 2
    high = Loss(name="pinball", quantile=0.9)
    assert loss_of_number(high, 3, 5) == pytest.approx(1.8)
    assert loss_of_number(high, 5, 3) == pytest.approx(0.2)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9), st.floats(0.01, 0.99))
def test_the_quantile_of_the_labels_costs_the_least_pinball(labels, quantile) -> None:
    loss = Loss(name="pinball", quantile=quantile)
    best = sorted(labels)[max(math.ceil(quantile * len(labels)) - 1, 0)]
    cost = {x: sum(loss_of_number(loss, x, label) for label in labels) for x in labels}
    assert cost[best] <= min(cost.values()) + 1e-9


@pytest.mark.parametrize(
    ("label", "classes", "place"),
    [
        (1.0, (), 1),
        (0.0, (), 0),
        ("1", (), 1),
        ("1.0", (), 1),
        ("yes", ("no", "yes"), 1),
        ("red", LIGHTS, 2),
        ("blue", LIGHTS, -1),
        (2.0, ("1", "2", "3"), 1),
    ],
)
def test_a_label_names_a_class(label: float | str, classes: tuple[str, ...], place: int) -> None:
    assert class_of(label, classes) == place


@pytest.mark.parametrize(("label", "classes"), [(7.0, ()), ("maybe", ("no", "yes")), ("x", ())])
def test_a_binary_model_refuses_a_third_class(label: float | str, classes) -> None:
    with pytest.raises(InvalidLabelError, match="give "):
        class_of(label, classes)


@pytest.mark.parametrize("label", ["tall", "nan", float("inf")])
def test_a_regression_refuses_what_is_no_finite_number(label: float | str) -> None:
    with pytest.raises(InvalidLabelError, match="finite"):
        number_of(label)
    assert number_of("2.5") == 2.5


def test_the_defaults_of_each_task_contradict_nothing() -> None:
    for task, losses in LOSSES.items():
        assert list(contradictions(task, (), Loss(name=losses[0]))) == []
    assert list(contradictions("multiclass", LIGHTS, STOP)) == []


@pytest.mark.parametrize(
    ("task", "classes", "loss", "says"),
    [
        ("regression", (), LOG, "loss.name is log_loss: a regression model takes squared_error"),
        ("regression", LIGHTS, Loss(name="pinball"), "classes is "),
        ("binary", LIGHTS, LOG, "classes has 3 names: give a negative"),
        ("multiclass", ("a", "b"), LOG, "or set task to binary"),
        ("multiclass", ("a", "b", "b"), LOG, "b is there twice"),
        ("multiclass", tuple(map(str, range(257))), LOG, "more than 256"),
        ("multiclass", (), STOP, "name them in classes"),
        ("binary", (), Loss(name="cost", costs=((0, 1), (-2, 0))), "holds -2: give costs of 0"),
        ("binary", (), STOP, "give 2 rows of 2 numbers"),
    ],
)
def test_a_contradiction_names_field_value_and_remedy(task, classes, loss, says) -> None:
    (reason,) = contradictions(task, classes, loss)
    assert says in reason
