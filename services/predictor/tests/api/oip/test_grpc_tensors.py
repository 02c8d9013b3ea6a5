from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.api.oip.grpc_tensors import decoded, encoded
from predictor.api.oip.messages import message
from predictor.api.oip.tensors import InferAnswer, Tensor
from predictor.domain.errors import BadRequestError

tensors = st.one_of(
    st.tuples(st.just("FP64"), st.lists(st.floats(allow_nan=False))),
    st.tuples(st.just("INT64"), st.lists(st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just("BYTES"), st.lists(st.text())),
    st.tuples(st.just("BOOL"), st.lists(st.booleans())),
)


def request(**fields: object) -> Any:
    return message("ModelInferRequest")(model_name="m", **fields)


@given(st.lists(tensors, max_size=3), st.booleans())
def test_what_is_answered_can_be_asked(given_tensors: list[tuple[str, list]], raw: bool) -> None:
    expected = [
        Tensor(f"t{i}", datatype, [len(data)], data)
        for i, (datatype, data) in enumerate(given_tensors)
    ]
    answer = encoded(InferAnswer("m", "1", None, expected), raw)
    asked = request(raw_input_contents=answer.raw_output_contents)
    for each in answer.outputs:
        asked.inputs.add(
            name=each.name, datatype=each.datatype, shape=each.shape, contents=each.contents
        )
    assert decoded(asked).inputs == expected


@pytest.mark.parametrize(
    ("tensor", "raw", "text"),
    [
        ({"datatype": "FP32", "shape": [2]}, [bytes(4)], "make 8"),
        ({"datatype": "FP32", "shape": [1]}, [bytes(4)] * 2, "has 2 items, for 1 inputs"),
        ({"datatype": "FP32", "shape": [1], "contents": {"fp32_contents": [1]}}, [bytes(4)], "one"),
        ({"datatype": "FP32", "shape": [2], "contents": {"fp32_contents": [1]}}, [], "has 1 elem"),
        ({"datatype": "FP16", "shape": [1]}, [], "raw_input_contents alone"),
        ({"datatype": "INT8", "shape": [1], "contents": {"int_contents": [128]}}, [], "no INT8"),
        ({"datatype": "BYTES", "shape": [1], "contents": {"bytes_contents": [b"\xff"]}}, [], "UTF"),
        ({"datatype": "FP8", "shape": [1]}, [], "is unknown"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(
    tensor: dict[str, object], raw: list[bytes], text: str
) -> None:
    with pytest.raises(BadRequestError, match=text):
        decoded(request(inputs=[{"name": "x", **tensor}], raw_input_contents=raw))


def test_what_is_empty_was_not_said() -> None:
    found = decoded(request())
    assert (found.inputs, found.id, found.outputs, found.parameters) == ([], None, None, {})


def test_parameters_have_the_value_that_was_chosen() -> None:
    asked = request(id="i", outputs=[{"name": "arm"}])
    asked.parameters["timeout"].int64_param = 5
    asked.parameters["nothing"].SetInParent()
    found = decoded(asked)
    assert (found.id, found.outputs, found.parameters) == ("i", ["arm"], {"timeout": 5})
