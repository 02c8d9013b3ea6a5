from collections.abc import Callable
from pathlib import Path

import pytest
from services.predictor.tests.lab import Features
from services.predictor.tests.tiny_onnx import WriteOnnx

from event_schemas.policy import Feature
from predictor.adapters.models.onnx_model import BOUND_ROWS, OnnxModel
from predictor.domain.errors import LoadError, ModelFailedError
from predictor.domain.features import Value
from predictor.serving.routes.loaded import inputs


def test_missing_values_reach_the_model_as_nan_and_empty_text(
    onnx_file: WriteOnnx, requested: Features
) -> None:
    model = OnnxModel(onnx_file(requested), inputs(requested))
    scores = model.answers([["UA", "EWR", 0.0], [None, None, None], ["AA", "JFK", -1.0]])
    assert scores == pytest.approx([0.7310586, 0.5, 0.2689414], abs=1e-6)


def test_a_batch_scores_as_its_rows_do_alone(onnx_file: WriteOnnx, requested: Features) -> None:
    model = OnnxModel(onnx_file(requested, 0.3), inputs(requested))
    rows: list[list[Value]] = [["UA", "EWR", i / 10] for i in range(50)]
    assert model.answers(rows) == [model.answers([row])[0] for row in rows]


def test_inputs_may_come_in_another_order_than_the_file_has(
    onnx_file: WriteOnnx, requested: Features
) -> None:
    model = OnnxModel(onnx_file(requested[::-1]), inputs(requested))
    assert model.answers([["UA", "EWR", 0.0]]) == pytest.approx([0.7310586], abs=1e-6)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path, requested: Features) -> None:
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
    onnx_file: WriteOnnx, requested: Features, change: Callable[[Features], Features], text: str
) -> None:
    with pytest.raises(LoadError, match=text) as caught:
        OnnxModel(onnx_file(requested), inputs(change(requested)))
    assert caught.value.reason == "signature"


def test_a_run_that_breaks_is_the_models_failure(onnx_file: WriteOnnx, requested: Features) -> None:
    model = OnnxModel(onnx_file(requested), inputs(requested))
    with pytest.raises(ModelFailedError):
        model.answers([["UA", "EWR", "five"]])


@pytest.fixture
def of_numbers(onnx_file: WriteOnnx) -> OnnxModel:
    """A model without a category, whose arrays are bound for small batches."""
    features = [Feature(name=name, kind="number", source="request") for name in ("a", "b", "c")]
    return OnnxModel(onnx_file(features), inputs(tuple(features)))


def test_batches_of_all_sizes_in_turn_score_as_their_rows_do_alone(of_numbers: OnnxModel) -> None:
    rows: list[list[Value]] = [[i / 10, -i / 7, None if i % 3 else 0.5] for i in range(60)]
    alone = [of_numbers.answers([row])[0] for row in rows]
    assert len(set(alone)) > BOUND_ROWS  # numbers left over from another batch would show
    for size in (BOUND_ROWS, 1, BOUND_ROWS + 1, 2, BOUND_ROWS, 2, 1):
        for at in range(0, len(rows) - size, size):
            assert of_numbers.answers(rows[at : at + size]) == alone[at : at + size]


def test_what_was_answered_stays_when_the_next_rows_come(of_numbers: OnnxModel) -> None:
    first = of_numbers.answers([[0.0, 0.0, 0.0]])
    of_numbers.answers([[9.0, 9.0, 9.0]])
    assert first == [0.5]


def test_rows_after_one_that_broke_a_run_are_scored(of_numbers: OnnxModel) -> None:
    with pytest.raises(ModelFailedError):
        of_numbers.answers([[1.0, "five", 1.0]])
    assert of_numbers.answers([[0.0, 0.0, None]]) == [0.5]
