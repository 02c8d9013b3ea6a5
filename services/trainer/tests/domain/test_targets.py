"""Losses a column at a time, against the contract's a row at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.task import BINARY, Loss, Target, loss_of_class, loss_of_number
from trainer.domain import targets
from trainer.domain.failure import TrainingError

share = st.integers(0, 8).map(lambda n: n / 8)
cost = st.integers(0, 9).map(float)
ABC = Target("multiclass", ("a", "b", "c"))


def matrices(size: int) -> st.SearchStrategy[Loss]:
    row = st.lists(cost, min_size=size, max_size=size).map(tuple)
    rows = st.lists(row, min_size=size, max_size=size).map(tuple)
    return st.one_of(st.just(Loss()), rows.map(lambda costs: Loss(name="cost", costs=costs)))


@given(matrices(2), st.lists(st.tuples(share, st.integers(0, 1)), min_size=1))
def test_losses_of_a_probability_are_those_of_the_contract(loss, rows) -> None:
    scores, truth = (np.array(column, float) for column in zip(*rows, strict=True))
    found = targets.losses(Target("binary", (), loss), truth, scores)
    assert found == pytest.approx([loss_of_class(loss, (1 - p, p), place) for p, place in rows])


@given(
    matrices(3),
    st.lists(st.tuples(st.tuples(share, share, share), st.integers(-1, 2)), min_size=1),
)
def test_losses_of_classes_are_those_of_the_contract(loss, rows) -> None:
    scores, truth = (np.array(column, float) for column in zip(*rows, strict=True))
    found = targets.losses(Target("multiclass", ("a", "b", "c"), loss), truth, scores)
    assert found == pytest.approx([loss_of_class(loss, s, place) for s, place in rows])


@given(
    st.sampled_from(["squared_error", "absolute_error", "pinball"]),
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1),
)
def test_losses_of_numbers_are_those_of_the_contract(name, rows) -> None:
    loss = Loss(name=name, quantile=0.8)
    answers, truth = (np.array(column) for column in zip(*rows, strict=True))
    found = targets.losses(Target("regression", (), loss), truth, answers)
    assert found == pytest.approx([loss_of_number(loss, a, t) for a, t in rows])


@given(
    st.sampled_from(["squared_error", "absolute_error", "pinball"]),
    st.lists(st.floats(-100, 100), min_size=1),
    st.floats(-100, 100),
)
def test_no_other_constant_is_better_on_its_own_rows(name, truth, other) -> None:
    target = Target("regression", (), Loss(name=name, quantile=0.8))
    labels = np.array(truth)
    best = targets.constant_answer(target, labels)

    def mean_loss(answer):
        return targets.losses(target, labels, targets.repeated(answer, len(labels))).mean()

    assert mean_loss(best) <= mean_loss(np.array([other])) + 1e-9


def test_the_constant_of_classes_is_their_shares() -> None:
    shares = targets.constant_answer(ABC, np.array([0.0, 2.0, 2.0, 2.0]))
    assert targets.repeated(shares, 2).tolist() == [[0.25, 0.0, 0.75]] * 2
    assert targets.constant_answer(BINARY, np.array([0.0, 1.0, 1.0, 1.0])).tolist() == [0.75]


def labels(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


def test_a_multiclass_target_without_classes_takes_those_of_its_training_rows() -> None:
    found = targets.completed(Target("multiclass"), labels("c", "a", "b", "a"))
    assert found.classes == ("a", "b", "c")
    assert targets.truth_of(found, labels("b", "new", "a")).tolist() == [1.0, -1.0, 0.0]


def test_classes_that_are_named_keep_their_order() -> None:
    target = Target("multiclass", ("c", "a", "b"))
    assert targets.completed(target, labels("a", "b", "c")) == target
    with pytest.raises(TrainingError, match="none of 2 training rows has the label a; leave"):
        targets.completed(target, labels("c", "b"))


def test_two_classes_are_no_multiclass_target() -> None:
    with pytest.raises(TrainingError, match="have 2 classes, and a multiclass model has 3 to"):
        targets.completed(Target("multiclass"), labels("a", "b"))


def test_a_binary_label_is_one_of_two_names() -> None:
    target = Target("binary", ("no", "yes"))
    assert targets.truth_of(target, labels("yes", "no")).tolist() == [1.0, 0.0]
    with pytest.raises(TrainingError, match="'maybe' is none of the classes, no and yes"):
        targets.truth_of(target, labels("yes", "maybe"))


def test_a_rivals_scores_are_read_by_the_names_of_its_classes() -> None:
    scores = np.array([[0.2, 0.3, 0.5]])
    found = targets.in_classes_of(Target("multiclass", ("c", "new", "a")), scores, ("a", "b", "c"))
    assert found.tolist() == [[0.5, 0.0, 0.2]]
