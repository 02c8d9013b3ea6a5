"""Small real ONNX models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from event_schemas.policy import Feature


class WriteOnnx(Protocol):
    """Writes a tiny model that takes some features; returns its file."""

    def __call__(self, features: Sequence[Feature], bias: float = 0.0) -> Path: ...


def write_onnx(path: Path, features: Sequence[Feature], bias: float = 0.0) -> Path:
    """A model: sigmoid(bias + the sum of its numbers, missing as 0, + 1 for each carrier UA)."""
    from onnx import TensorProto, checker, helper

    nodes, terms = [], ["bias"]
    for each in features:
        name, term = each.name, f"{each.name}_term"
        if each.kind == "category":
            nodes.append(
                helper.make_node(
                    "LabelEncoder",
                    [name],
                    [term],
                    domain="ai.onnx.ml",
                    keys_strings=["UA"],
                    values_floats=[1.0],
                    default_float=0.0,
                )
            )
        else:
            nodes.append(helper.make_node("IsNaN", [name], [f"{name}_missing"]))
            nodes.append(helper.make_node("Where", [f"{name}_missing", "zero", name], [term]))
        terms.append(term)
    nodes += [
        helper.make_node("Sum", terms, ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["one"]),
        helper.make_node("Sub", ["unit", "one"], ["other"]),
        helper.make_node("Concat", ["other", "one"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    kinds = {"number": TensorProto.FLOAT, "category": TensorProto.STRING}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(f.name, kinds[f.kind], [None, 1]) for f in features],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [
            helper.make_tensor("bias", TensorProto.FLOAT, [1, 1], [bias]),
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("unit", TensorProto.FLOAT, [1], [1.0]),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
