"""What the folders of the glucose models say, and the cases that they bring."""

from datetime import timedelta
from pathlib import Path

import pytest

from ingest.adapters.dataset_yaml import load_contracts
from tailrace.cases.table import ModelCases
from trainer.adapters.model_folder import load_model

MODELS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cases() -> ModelCases:
    return ModelCases(MODELS / "glucose", "run")


@pytest.mark.parametrize(
    ("model", "task", "loss"),
    [
        ("glucose", "regression", "absolute_error"),
        ("glucose_range", "multiclass", "log_loss"),
    ],
)
def test_the_folders_can_be_trained_by(model: str, task: str, loss: str) -> None:
    definition = load_model(MODELS / model)
    assert (definition.target.task, definition.target.loss.name) == (task, loss)
    assert definition.training.dataset == "glucose"


def test_each_record_keeps_the_contract(cases: ModelCases) -> None:
    contract = load_contracts(MODELS)[0]["glucose"]
    assert len(cases.all) > 15_000
    for case in cases.all[::97]:
        record = case.record
        _, faults = contract.check(record["entity"], case.known_at, record["record"])
        assert not faults, (faults, record)


def test_an_outcome_is_what_the_reading_says_half_an_hour_later(cases: ModelCases) -> None:
    now = {case.asked_at: case.request["features"]["now"] for case in cases.all}
    checked = 0
    for case in cases.all:
        assert case.known_at - case.asked_at == timedelta(minutes=30)
        if case.known_at in now:
            assert case.label["label"] == now[case.known_at]
            checked += 1
    assert checked > 15_000


def test_the_classes_are_those_of_the_range(cases: ModelCases) -> None:
    of_range = ModelCases(MODELS / "glucose_range", "run").all
    classes = load_model(MODELS / "glucose_range").target.classes
    assert {case.label["label"] for case in of_range} == set(classes)
    for number, name in zip(cases.all[::97], of_range[::97], strict=True):
        value = number.label["label"]
        wanted = "low" if value < 70 else "high" if value > 180 else "in_range"
        assert name.label["label"] == wanted
