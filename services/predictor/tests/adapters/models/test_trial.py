"""Files that would end the service end in a process of their own."""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from services.predictor.tests.lab import Features
from services.predictor.tests.tiny_onnx import WriteOnnx

from event_schemas.task import BINARY
from predictor.adapters.models.trial import Format, Trial
from predictor.domain.errors import LoadError
from predictor.domain.features import Input, Value
from predictor.ports import OpenModel
from predictor.serving.routes.loaded import inputs
from stores.child import Bounds

pytestmark = pytest.mark.integration

NUMBER = (Input("x", "number"),)
BOUNDS = Bounds(memory_bytes=512 * 2**20, cpu_seconds=2.0)


class Opened:
    """A model that this process opened."""

    def __init__(self, path: Path, inputs: object, target: object) -> None:
        self.path = path

    def answers(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        raise NotImplementedError


def never(path: Path, inputs: object, target: object) -> Opened:
    raise AssertionError(f"{path} was opened in the process that answers")


def refusal(kind: Format, path: Path, bounds: Bounds = BOUNDS) -> LoadError:
    with pytest.raises(LoadError) as caught:
        Trial(bounds).first(kind, never)(path, NUMBER, BINARY)
    return caught.value


def loop_without_end() -> bytes:
    """Scores by a loop whose condition stays true, of 2^62 turns."""
    from onnx import TensorProto, helper

    turn = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sigmoid", ["was"], ["is"]),
        ],
        "turn",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("was", TensorProto.FLOAT, [None, 1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("is", TensorProto.FLOAT, [None, 1]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["turns", "true", "x"], ["last"], body=turn),
        helper.make_node("Concat", ["last", "last"], ["probabilities"], axis=1),
    ]
    constants = [
        helper.make_tensor("turns", TensorProto.INT64, [], [2**62]),
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
    ]
    return _model(nodes, constants)


def two_gigabytes() -> bytes:
    """Scores by the sum of 2^29 zeros, which a few hundred bytes ask for."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
        helper.make_node("Add", ["x", "zero"], ["sum"]),
        helper.make_node("Concat", ["sum", "sum"], ["probabilities"], axis=1),
    ]
    return _model(nodes, [helper.make_tensor("shape", TensorProto.INT64, [1], [2**29])])


def _model(nodes: list[Any], constants: list[Any]) -> bytes:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes,
        "bad",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        constants,
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def zip_bomb() -> bytes:
    """A schema of a gigabyte in a file of a megabyte or so."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("schema.json", "w", force_zip64=True) as schema,
    ):
        for _ in range(1024):
            schema.write(bytes(2**20))
    return content.getvalue()


@pytest.mark.parametrize(
    ("kind", "content", "reason", "setting"),
    [
        ("onnx", loop_without_end, "endless", "OPEN_SECONDS"),
        ("onnx", two_gigabytes, "memory", "OPEN_MEMORY_BYTES"),
        ("skops", zip_bomb, "memory", "OPEN_MEMORY_BYTES"),
    ],
)
def test_fault_1_5_a_bad_file_ends_in_a_process_of_its_own(
    tmp_path: Path, kind: Format, content: Callable[[], bytes], reason: str, setting: str
) -> None:
    path = tmp_path / "model"
    path.write_bytes(content())
    refused = refusal(kind, path)
    assert refused.reason == reason
    assert setting in str(refused)


@pytest.mark.parametrize("kind", ["onnx", "skops"])
def test_fault_1_5_a_file_that_is_no_model_is_refused_in_there(
    tmp_path: Path, kind: Format
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"no model")
    assert refusal(kind, path).reason == "unreadable"


def test_fault_1_5_a_good_file_is_opened_here_once_it_was_tried(
    onnx_file: WriteOnnx, requested: Features
) -> None:
    path = onnx_file(requested)
    open_model: OpenModel = Opened
    model = Trial(BOUNDS).first("onnx", open_model)(path, inputs(requested), BINARY)
    assert isinstance(model, Opened)
    assert model.path == path
