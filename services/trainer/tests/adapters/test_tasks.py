"""Real trainings of every task: labels, gates, references, and what a champion is compared by."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from event_schemas.policy import Feature
from trainer.adapters import sklearn_training
from trainer.adapters.delta_history import HistorySource
from trainer.adapters.model_folder import load_model
from trainer.domain.failure import TrainingError
from trainer.ports import TrainingResult, TrainingTask

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=41)
ROWS = 2000
CLASSES = ("hail", "rain", "sun")
FEATURES = tuple(Feature(name=n, kind="number", source="request") for n in ("score", "y"))
PIPELINE = """
from sklearn.linear_model import {name}
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def build_pipeline(seed):
    return make_pipeline(StandardScaler(), {name}())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> HistorySource:
    """Rows of 40 days, whose label is known as a name of three, as one of two, and as a number."""
    root = tmp_path_factory.mktemp("lake")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, ROWS))
    times = [START + timedelta(days=40) * (n / ROWS) for n in range(ROWS)]
    amount = 100 + 30 * x + rng.normal(size=ROWS)
    amount[::200] = np.inf
    table = {
        "event_id": [f"e{n}" for n in range(ROWS)],
        "event_time": pa.array(times, pa.timestamp("us", "UTC")),
        "score": x.astype(np.float64),
        "y": y.astype(np.float64),
        "sky": np.where(x > 0.5, "sun", np.where(y > 0.5, "rain", "hail")).tolist(),
        "wet": np.where(x + y > 0, "wet", "dry").tolist(),
        "amount": amount,
        "code": np.where(x > 0.5, 7, np.where(y > 0.5, 8, 9)),
    }
    table["seen"] = ["fog" if n % 50 == 0 else sky for n, sky in enumerate(table["sky"])]
    write_deltalake(str(root / "skies"), pa.table(table))
    return HistorySource(str(root), root)


@pytest.fixture
def train(source: HistorySource, tmp_path: Path):
    """Trains a model of the rows; its model.yaml holds what a test adds."""

    def build(task: str, label: str, *, until: datetime = END, champion=None, **document):
        folder = tmp_path / "weather"
        folder.mkdir(exist_ok=True)
        estimator = "LinearRegression" if task == "regression" else "LogisticRegression"
        (folder / "pipeline.py").write_text(PIPELINE.format(name=estimator))
        training = {"dataset": "skies", "label": label, "min_rows": 100}
        inputs = [{"name": f.name, "kind": f.kind, "source": f.source} for f in FEATURES]
        (folder / "model.yaml").write_text(
            yaml.safe_dump(
                {
                    "model": "weather",
                    "task": task,
                    "features": inputs,
                    "training": training,
                    "gate": {"min_rows": 100} | document.pop("gate", {}),
                    **document,
                }
            )
        )
        definition = load_model(folder)
        rival = {}
        if champion is not None:
            path = tmp_path / "champion.onnx"
            path.write_bytes(champion.artifact)
            rival = {
                "champion_features": FEATURES,
                "champion_name": "version 1",
                "champion_target": champion.target,
            }
            champion = path
        task_of = TrainingTask(definition, until=until, champion=champion, **rival)
        return sklearn_training.train(task_of, source)

    return build


def gates_of(result: TrainingResult) -> dict[str, str]:
    return {gate.name: gate.verdict for gate in result.gates}


def reference_of(result: TrainingResult) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(result.reference))


def test_a_multiclass_model_takes_the_classes_of_its_rows(train) -> None:
    result = train("multiclass", "sky")
    assert (result.target.task, result.target.classes) == ("multiclass", CLASSES)
    assert result.format == "onnx"
    assert result.parity <= 1e-5
    assert gates_of(result) == dict.fromkeys(("parity", "min_rows", "base_rate"), "passed")
    assert [m.name for m in result.measures] == ["log_loss", "accuracy", "f1_macro"]
    assert result.measures[1].value > 0.8
    assert result.answer_edges == ()
    reference = reference_of(result)
    # An input has the name of an answer, which the answer of another task does not mind.
    assert list(reference) == ["score", "y", "label", "prediction"]
    assert set(reference["label"]) == set(reference["prediction"]) == set(CLASSES)
    assert result.loss_mean == pytest.approx(result.measures[0].value)


def test_names_of_classes_may_be_numbers(train) -> None:
    assert train("multiclass", "code").target.classes == ("7", "8", "9")
    assert train("multiclass", "code", classes=[9, 8, 7]).target.classes == ("9", "8", "7")


def test_a_binary_model_may_name_its_classes_and_makes_way_for_an_input(train) -> None:
    result = train("binary", "wet", classes=["dry", "wet"])
    assert result.target.classes == ("dry", "wet")
    reference = reference_of(result)
    assert list(reference) == ["score", "y", "label", "score_"]
    assert set(reference["label"]) == {0.0, 1.0}
    assert reference["score_"][reference["label"] == 1].mean() > 0.8


def test_a_regression_answers_a_number_and_leaves_infinite_labels_out(train, caplog) -> None:
    result = train("regression", "amount")
    assert "10 rows of skies are left out: their amount is no finite number" in caplog.text
    assert gates_of(result) == dict.fromkeys(("parity", "min_rows", "constant"), "passed")
    assert [m.name for m in result.measures] == ["squared_error", "mae", "rmse", "r2"]
    assert result.measures[-1].value > 0.99
    assert len(result.answer_edges) == 19
    assert list(result.answer_edges) == sorted(result.answer_edges)
    reference = reference_of(result)
    assert list(reference) == ["score", "y", "label", "prediction"]
    error = (reference["label"] - reference["prediction"]).to_numpy()
    assert np.mean(error**2) == pytest.approx(result.loss_mean)


def test_bounds_on_measures_are_gates_of_their_own(train) -> None:
    loss = {"name": "absolute_error"}
    result = train("regression", "amount", loss=loss, gate={"require": ["mae <= 2", "r2 >= 1"]})
    assert gates_of(result) | {"require.mae": "passed", "require.r2": "failed"} == gates_of(result)


@pytest.mark.parametrize(("task", "label"), [("multiclass", "sky"), ("regression", "amount")])
def test_a_champion_is_measured_by_the_loss_of_the_task(train, task: str, label: str) -> None:
    first = train(task, label)
    gate = train(task, label, champion=first).gates[-1]
    assert (gate.name, gate.verdict) == (first.target.loss.name, "passed")
    assert gate.value == pytest.approx(0.0, abs=1e-9)


def test_classes_of_a_champion_are_read_by_name(train) -> None:
    first = train("multiclass", "sky", classes=["sun", "rain", "hail"])
    gate = train("multiclass", "sky", champion=first).gates[-1]
    assert gate.value == pytest.approx(0.0, abs=1e-6)


def test_fault_4_6_inputs_that_callers_still_send_are_asked_about(train) -> None:
    first = train("multiclass", "sky")
    fewer = [{"name": "score", "kind": "number", "source": "request"}]
    result = train("multiclass", "sky", champion=first, features=fewer)
    [gate] = [gate for gate in result.gates if gate.name == "inputs"]
    assert gate.verdict == "failed"
    assert "input y is gone" in gate.reason
    serving = {"retired_inputs": {"y": "2030-01-01T00:00:00Z"}}
    result = train("multiclass", "sky", champion=first, features=fewer, serving=serving)
    assert {gate.name: gate.verdict for gate in result.gates}["inputs"] == "passed"


def test_a_champion_of_another_task_is_no_rival(train) -> None:
    gate = train("regression", "amount", champion=train("multiclass", "sky")).gates[-1]
    assert gate.verdict == "not_measured"
    assert "a multiclass model: give another task another name" in gate.reason


def test_training_rows_of_a_class_that_is_not_named_are_left_out_and_told(train, caplog) -> None:
    costs = {"name": "cost", "costs": [[0, 1, 1], [1, 0, 1], [1, 1, 0]]}
    result = train("multiclass", "seen", classes=list(CLASSES), loss=costs)
    assert "of 1600 training rows are left out: their label is none of the named" in caplog.text
    assert result.measures[0].name == "cost"
    assert result.target.classes == CLASSES
    # What is held out is judged whole: there, a row of an unknown class costs the dearest mistake.
    assert (reference_of(result)["label"] == "(other)").sum() == 8


def test_a_class_that_is_named_needs_training_rows(train) -> None:
    with pytest.raises(TrainingError, match="none of 1600 training rows has the label snow"):
        train("multiclass", "sky", classes=["sun", "rain", "hail", "snow"])


def test_a_label_that_is_none_of_two_classes_fails_the_training(train) -> None:
    with pytest.raises(TrainingError, match="the label 'hail' is none of the classes, rain and su"):
        train("binary", "sky", classes=["rain", "sun"])


def test_a_regression_needs_numbers(train) -> None:
    with pytest.raises(TrainingError, match="sky: a column of string holds no numbers; give"):
        train("regression", "sky")
