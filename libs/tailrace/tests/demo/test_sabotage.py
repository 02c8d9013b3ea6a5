"""The sabotaged model: valid, and wrong wherever the original is right."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

from tailrace.demo.sabotage import inverted


def honest_model() -> bytes:
    """A model of one input x with outputs label and probabilities [1 - x, x]."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])
    label = helper.make_tensor_value_info("label", TensorProto.BOOL, [None, 1])
    p = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    nodes = [
        helper.make_node("Sub", ["one", "x"], ["no"]),
        helper.make_node("Concat", ["no", "x"], ["probabilities"], axis=1),
        helper.make_node("Greater", ["x", "half"], ["label"]),
    ]
    graph = helper.make_graph(nodes, "honest", [x], [label, p], [one, half])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


def test_the_inverted_model_swaps_the_probabilities_and_keeps_the_interface() -> None:
    original = onnxruntime.InferenceSession(honest_model())
    broken = onnxruntime.InferenceSession(inverted(honest_model()))
    assert [o.name for o in broken.get_outputs()] == [o.name for o in original.get_outputs()]
    feed = {"x": np.array([[0.1], [0.7]], np.float32)}
    right, wrong = original.run(None, feed)[-1], broken.run(None, feed)[-1]
    assert np.asarray(wrong)[:, ::-1].tolist() == np.asarray(right).tolist()
