from pathlib import Path
from typing import Any

import pytest

from event_schemas.policy import Feature
from predictor.adapters.onnx_model import OnnxModel
from predictor.domain.errors import LoadError, ModelFailedError
from predictor.handlers.loaded import inputs


def test_missing_values_reach_the_model_as_nan_and_empty_text(
    onnx_file: Any, requested: Any
) -> None:
    model = OnnxModel(onnx_file(requested), inputs(requested))
    scores = model.scores([["UA", "EWR", 0.0], [None, None, None], ["AA", "JFK", -1.0]])
    assert scores == pytest.approx([0.7310586, 0.5, 0.2689414], abs=1e-6)


def test_a_batch_scores_as_its_rows_do_alone(onnx_file: Any, requested: Any) -> None:
    model = OnnxModel(onnx_file(requested, 0.3), inputs(requested))
    rows: list[list[Any]] = [["UA", "EWR", i / 10] for i in range(50)]
    assert model.scores(rows) == [model.scores([row])[0] for row in rows]


def test_inputs_may_come_in_another_order_than_the_file_has(onnx_file: Any, requested: Any) -> None:
    model = OnnxModel(onnx_file(requested[::-1]), inputs(requested))
    assert model.scores([["UA", "EWR", 0.0]]) == pytest.approx([0.7310586], abs=1e-6)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path, requested: Any) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(LoadError) as caught:
        OnnxModel(path, inputs(requested))
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda fs: fs[:2], "hour \\(an ONNX input only\\)"),
        (
            lambda fs: (*fs, Feature(name="x", kind="number", source="request")),
            "x \\(a feature only\\)",
        ),
        (
            lambda fs: (*fs[:2], fs[2].model_copy(update={"kind": "category", "default": None})),
            "hour is tensor\\(float\\).*not tensor\\(string\\)",
        ),
    ],
)
def test_features_that_the_file_does_not_take_are_named(
    onnx_file: Any, requested: Any, change: Any, text: str
) -> None:
    with pytest.raises(LoadError, match=text) as caught:
        OnnxModel(onnx_file(requested), inputs(change(requested)))
    assert caught.value.reason == "signature"


def test_a_run_that_breaks_is_the_models_failure(onnx_file: Any, requested: Any) -> None:
    model = OnnxModel(onnx_file(requested), inputs(requested))
    with pytest.raises(ModelFailedError):
        model.scores([["UA", "EWR", "five"]])
