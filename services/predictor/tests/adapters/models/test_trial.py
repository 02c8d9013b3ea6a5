"""Files that hang or take all memory end their trial, and nothing else."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from predictor.adapters.models.trial import Limits, Trials
from predictor.domain.errors import LoadError
from predictor.domain.features import Input

X = (Input("x", "number"),)
SMALL = Limits(memory_bytes=200 * 1024 * 1024, seconds=3.0)


def write(path: Path, nodes: list[Any], constants: Sequence[Any] = ()) -> Path:
    """A model of one number, whose nodes make `probabilities` of `x` and `term`."""
    nodes = [
        *nodes,
        helper.make_node("Mul", ["term", "zero"], ["nothing"]),
        helper.make_node("Add", ["x", "nothing"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["one"]),
        helper.make_node("Sub", ["unit", "one"], ["other"]),
        helper.make_node("Concat", ["other", "one"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])],
        [
            helper.make_tensor("zero", TensorProto.FLOAT, [1, 1], [0.0]),
            helper.make_tensor("unit", TensorProto.FLOAT, [1, 1], [1.0]),
            *constants,
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def harmless(path: Path) -> Path:
    return write(path, [helper.make_node("Identity", ["unit"], ["term"])])


def endless(path: Path) -> Path:
    """A loop of 2^63 - 1 turns."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_out"]),
            helper.make_node("Add", ["v", "unit"], ["v_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 1]),
        ],
        [
            helper.make_tensor_value_info("more_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", TensorProto.FLOAT, [1, 1]),
        ],
    )
    loop = helper.make_node("Loop", ["turns", "go", "unit"], ["term"], body=body)
    turns = helper.make_tensor("turns", TensorProto.INT64, [], [2**63 - 1])
    return write(path, [loop], [turns, helper.make_tensor("go", TensorProto.BOOL, [], [True])])


def greedy(path: Path) -> Path:
    """Two gigabytes of zeros, asked for by some hundred bytes."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["much"]),
        helper.make_node("ReduceSum", ["much"], ["term"], keepdims=0),
    ]
    return write(path, nodes, [helper.make_tensor("shape", TensorProto.INT64, [1], [2**29])])


@pytest.fixture
def trials() -> Iterator[Trials]:
    made = Trials(SMALL)
    yield made
    made.close()


def opened(path: Path, inputs: Any) -> Any:
    return "a model"


def test_a_model_that_answers_is_opened_after_its_trial(trials: Trials, tmp_path: Path) -> None:
    open_model = trials.first("onnx", opened)
    path = harmless(tmp_path / "a.onnx")
    assert open_model(path, X) == "a model"
    process = trials._child.pid
    assert open_model(path, X) == "a model"
    assert trials._child.pid == process, "one process tries several files"


def test_fault_1_5_a_loop_without_an_end_is_refused_and_the_next_model_is_opened(
    trials: Trials, tmp_path: Path
) -> None:
    open_model = trials.first("onnx", opened)
    with pytest.raises(LoadError, match="MODEL_TRIAL_SECONDS") as refused:
        open_model(endless(tmp_path / "endless.onnx"), X)
    assert refused.value.reason == "trial"
    assert open_model(harmless(tmp_path / "a.onnx"), X) == "a model"


def test_fault_1_5_a_small_file_that_takes_gigabytes_is_refused(
    trials: Trials, tmp_path: Path
) -> None:
    path = greedy(tmp_path / "greedy.onnx")
    assert path.stat().st_size < 600
    open_model = trials.first("onnx", opened)
    with pytest.raises(LoadError, match=r"memory|alloc|MODEL_TRIAL_BYTES"):
        open_model(path, X)
    assert open_model(harmless(tmp_path / "a.onnx"), X) == "a model"


def test_fault_1_5_a_skops_file_that_unpacks_to_gigabytes_is_refused(
    trials: Trials, tmp_path: Path
) -> None:
    bomb = io.BytesIO()
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("schema.json", "w", force_zip64=True) as member,
    ):
        for _ in range(400):
            member.write(bytes(1024 * 1024))
    path = tmp_path / "bomb.skops"
    path.write_bytes(bomb.getvalue())
    assert path.stat().st_size < 4 * 1024 * 1024
    with pytest.raises(LoadError):
        trials.first("skops", opened)(path, X)


def test_what_the_trial_refuses_is_said_as_ever(trials: Trials, tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("no model")
    with pytest.raises(LoadError, match="no ONNX file that can be run") as refused:
        trials.first("onnx", opened)(path, X)
    assert refused.value.reason == "unreadable"
