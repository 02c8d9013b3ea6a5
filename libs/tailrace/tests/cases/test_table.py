"""Cases out of a model's folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tailrace.cases.table import CasesError, ModelCases

DEMO = """
from datetime import UTC, datetime, timedelta
import pandas as pd

START = datetime(2024, 1, 2, tzinfo=UTC)

def cases():
    at = pd.to_datetime(["2024-01-03T00:00Z", "2024-01-01T00:00Z"], utc=True)
    return pd.DataFrame({"ride": ["b", "a"], "asked": at, "done": at + timedelta(hours=1),
                         "km": [2.5, None], "fare": [30.0, 4.0]})
"""
MODEL = {
    "model": "fares",
    "features": [{"name": "km", "kind": "number", "source": "request"}],
    "training": {"dataset": "rides", "label": "fare", "feature_time": "asked"},
}
DATASET = {"dataset": "rides", "entity": "ride", "event_time": "done"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "fares"
    (folder / "datasets").mkdir(parents=True)
    (folder / "demo.py").write_text(DEMO)
    (folder / "model.yaml").write_text(yaml.safe_dump(MODEL))
    (folder / "datasets" / "rides.yaml").write_text(yaml.safe_dump(DATASET))
    return folder


def test_a_row_is_asked_known_and_recorded(folder: Path) -> None:
    cases = ModelCases(folder, "run")
    assert (cases.model, cases.dataset) == ("fares", "rides")
    assert cases.start == datetime(2024, 1, 2, tzinfo=UTC)
    first, second = cases.all
    assert second.asked_at - first.asked_at == timedelta(days=2)
    assert second.request == {
        "model": "fares",
        "entity_id": "b",
        "prediction_id": "run.fares.b",
        "event_time": "2024-01-03T00:00:00+00:00",
        "features": {"km": 2.5},
    }
    assert first.request["features"] == {"km": None}
    assert second.label == {
        "prediction_id": "run.fares.b",
        "model": "fares",
        "label": 30.0,
        "observed_at": "2024-01-03T01:00:00+00:00",
    }
    assert second.record["event_time"] == "2024-01-03T01:00:00+00:00"
    assert second.record["record"]["fare"] == 30.0


def test_a_limit_makes_two_classes_of_the_outcome(folder: Path) -> None:
    training = {**MODEL["training"], "label_above": 10}  # type: ignore[dict-item]
    (folder / "model.yaml").write_text(yaml.safe_dump({**MODEL, "training": training}))
    assert [case.label["label"] for case in ModelCases(folder, "run").all] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("demo.py", "", "has no START"),
        ("demo.py", "1 / 0", "does not run: ZeroDivisionError"),
        ("demo.py", DEMO.replace('"km"', '"miles"'), r"cases\(\) has no column km"),
        ("datasets/rides.yaml", "dataset: other", "describes the dataset rides"),
        ("model.yaml", "model: fares", "Field required"),
    ],
)
def test_a_folder_that_brings_no_cases_says_why(
    folder: Path, file: str, text: str, told: str
) -> None:
    (folder / file).write_text(text)
    with pytest.raises(CasesError, match=told):
        ModelCases(folder, "run")


def test_a_folder_without_the_file_is_told_what_it_is_for(folder: Path) -> None:
    (folder / "demo.py").unlink()
    with pytest.raises(CasesError, match=r"demo\.py: is not there; it brings the cases"):
        ModelCases(folder, "run")


def test_stored_features_are_no_cases(folder: Path) -> None:
    stored = {"name": "km", "kind": "number", "source": "store", "view": "v", "join_key": "k"}
    (folder / "model.yaml").write_text(yaml.safe_dump({**MODEL, "features": [stored]}))
    with pytest.raises(CasesError, match="km come from the feature store"):
        ModelCases(folder, "run")
