from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from predictor.api.oip.grpc_tensors import SERVICE, decoded, encoded, message, methods
from predictor.api.oip.tensors import InferAnswer, Tensor
from predictor.domain.errors import BadRequestError

NOT_TRITONS = {"properties"}
"""In the standard, and not in Triton's copy of it."""

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


def test_names_and_numbers_are_those_of_the_standard() -> None:
    theirs = service_pb2.DESCRIPTOR
    service = theirs.services_by_name[SERVICE.split(".")[1]]
    compared = 0
    for name, pair in methods().items():
        method = service.methods_by_name[name]
        assert [each.DESCRIPTOR.full_name for each in pair] == [
            method.input_type.full_name,
            method.output_type.full_name,
        ]
        for ours, other in zip(pair, (method.input_type, method.output_type), strict=True):
            compared += same(ours.DESCRIPTOR, other)
    compared += same(
        message("InferTensorContents").DESCRIPTOR,
        theirs.message_types_by_name["InferTensorContents"],
    )
    assert compared > 30


def same(ours, theirs) -> int:  # type: ignore[no-untyped-def]
    fields = {each.name: each for each in theirs.fields}
    for each in ours.fields:
        if each.name in NOT_TRITONS:
            continue
        other = fields[each.name]
        assert (each.number, each.type, each.label) == (other.number, other.type, other.label)
        if each.message_type is not None and each.message_type.containing_type is ours:
            same(each.message_type, other.message_type)
    return len(ours.fields)
