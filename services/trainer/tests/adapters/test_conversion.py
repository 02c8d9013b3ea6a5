"""What a training makes of the types of a lake: the values that requests bring as well."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from event_schemas.policy import Feature, Policies
from event_schemas.task import BINARY
from stores.values import category, number
from trainer.adapters import artifact
from trainer.adapters.delta_history import HistorySource, as_served, frame_of, read_history
from trainer.domain.failure import TrainingError
from trainer.ports import ModelDefinition, TrainingPlan

START = datetime(2013, 1, 1, tzinfo=UTC)
COLUMNS = {
    "flag": pa.array([True, None, False]),
    "count": pa.array([1, None, 2**53 + 1]),
    "share": pa.array([1.0, 0.5, float("nan")]),
    "price": pa.array([Decimal("1.50"), None, Decimal("2.00")]),
    "name": pa.array(["True", None, "1"]),
}
HISTORY = {name: pa.chunked_array([column]) for name, column in COLUMNS.items()}


def features(kind: str, *names: str) -> list[Feature]:
    return [Feature(name=n, kind=kind, source="request") for n in names]  # type: ignore[arg-type]


def test_fault_4_2_categories_are_trained_as_requests_bring_them() -> None:
    frame = frame_of(HISTORY, features("category", *COLUMNS))
    assert frame["flag"].tolist() == ["true", "", "false"]
    assert frame["count"].tolist() == ["1", "", str(2**53 + 1)]
    for name, column in COLUMNS.items():
        assert frame[name].tolist() == [category(value) or "" for value in column.to_pylist()]


def test_fault_6_7_numbers_are_trained_as_requests_bring_them() -> None:
    names = [name for name in COLUMNS if name != "name"]
    frame = frame_of(HISTORY, features("number", *names))
    for name in names:
        found = [number(value) for value in COLUMNS[name].to_pylist()]
        assert frame[name].isna().tolist() == [value is None for value in found]
        expected = np.array([value for value in found if value is not None], np.float32)
        assert frame[name].dropna().tolist() == expected.tolist()


def test_a_type_that_no_request_brings_fails_the_training_by_name() -> None:
    with pytest.raises(TrainingError, match="feature name is a number, and a column of string"):
        frame_of(HISTORY, features("number", "name"))
    times = {"at": pa.array([START])}
    with pytest.raises(TrainingError, match="feature at is a category, and a column of timestamp"):
        frame_of(times, features("category", "at"))


def test_fault_4_2_a_category_may_have_a_boolean_as_its_default() -> None:
    feature = Feature.model_validate(
        {"name": "flag", "kind": "category", "source": "request", "default": True}
    )
    assert frame_of(HISTORY, [feature])["flag"].tolist() == ["true", "true", "false"]


@pytest.mark.parametrize("kind", ["category", "number"])
def test_fault_4_2_rows_are_the_same_when_they_are_served(kind: str) -> None:
    chosen = features(kind, *(n for n in COLUMNS if kind == "category" or n != "name"))
    served = as_served(HISTORY, chosen, np.array([2, 0, 1]))
    trained = frame_of(HISTORY, chosen).iloc[[2, 0, 1]].reset_index(drop=True)
    assert served.equals(trained)


class Known:
    """A pipeline that knows one category."""

    def predict_proba(self, frame):
        hit = (frame["flag"] == "true").to_numpy(float)
        return np.stack([1 - hit, hit], axis=1)


def test_fault_4_2_parity_sees_rows_that_are_served_otherwise(monkeypatch) -> None:
    """As before there was one conversion: trained as `True`, served as `true`."""
    chosen = features("category", "flag")
    held = frame_of(HISTORY, chosen)
    monkeypatch.setattr(artifact.onnx_artifact, "export", lambda *_, **__: b"")
    monkeypatch.setattr(
        artifact.onnx_artifact, "run", lambda _, frame, __: Known().predict_proba(frame)
    )
    policy = Policies().gate.model_copy(update={"artifact": "onnx"})
    other = held.replace("true", "True")
    same = artifact.export(Known(), chosen, BINARY, held, policy, (), artifact.Served(held, held))
    apart = artifact.export(Known(), chosen, BINARY, held, policy, (), artifact.Served(held, other))
    assert (same.parity, apart.parity) == (0.0, 1.0)


def read(folder: Path, rows: dict, *names: str, **plan):
    """The history of a table whose rows are an hour apart."""
    count = len(rows["label"])
    moments = [START + timedelta(hours=n) for n in range(count)]
    table = {"event_id": [f"e{n}" for n in range(count)], "event_time": moments} | rows
    write_deltalake(str(folder / "cases"), pa.table(table))
    definition = ModelDefinition(
        model="m",
        features=tuple(features("number", *names)),
        policies=Policies(),
        training=TrainingPlan(dataset="cases", label="label", **plan),
        pipeline=Path("pipeline.py"),
        digest="0" * 64,
    )
    until = START + timedelta(days=1)
    return read_history(
        HistorySource(str(folder), folder), definition, until, lambda _: nullcontext()
    )


def test_fault_6_4_a_row_of_a_moment_after_all_others_decides_no_hold_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [START, datetime(2113, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]
    rows = {
        "label": [0, 1, 0],
        "asked_at": pa.array(asked, pa.timestamp("us", "UTC")),
        "x": [1, 2, 3],
    }
    found = read(tmp_path, rows, "x", feature_time="asked_at")
    assert found.frame["x"].tolist() == [1, 3]
    assert "1 rows of cases are left out: their asked_at is later than" in caplog.text


def test_fault_6_4_a_window_may_be_longer_than_all_time(tmp_path: Path) -> None:
    found = read(tmp_path, {"label": [0, 1], "x": [1, 2]}, "x", window=timedelta(days=999_999))
    assert found.labels.tolist() == [0, 1]
