import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.predictor.tests.lab import Json

from predictor.api.oip.body import decode, encoded
from predictor.api.oip.tensors import InferAnswer, Tensor
from predictor.domain.errors import BadRequestError

ROW: Json = {"name": "x", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]}


def refused(text: str, body: bytes | Json, header_length: int | None = None) -> None:
    with pytest.raises(BadRequestError, match=text):
        decode(body if isinstance(body, bytes) else json.dumps(body).encode(), header_length)


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3)))
def test_what_is_answered_in_binary_can_be_asked_in_binary(columns: list[list[float]]) -> None:
    tensors = [Tensor(f"t{i}", "FP64", [len(each)], each) for i, each in enumerate(columns)]
    body, length = encoded(InferAnswer("m", "1", "id", tensors), None)
    head = json.loads(body[:length])
    assert (head["model_name"], head["model_version"], head["id"]) == ("m", "1", "id")
    asked = json.dumps({"inputs": head["outputs"], "id": "id"}).encode()
    request, wanted = decode(asked + body[length:] if length else asked, len(asked))
    assert request.inputs == tensors
    assert (request.id, request.outputs, wanted) == ("id", None, set())


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_json_may_be_flat_or_nested_as_the_shape_says(rows: list[list[str]]) -> None:
    flat = [value for row in rows for value in row]
    for data in (rows, flat):
        tensor = {"name": "x", "datatype": "BYTES", "shape": [len(rows), 2], "data": data}
        request, _ = decode(json.dumps({"inputs": [tensor]}).encode(), None)
        assert request.inputs[0].data == flat


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({}, set()),
        ({"parameters": {"binary_data_output": True}}, None),
        ({"outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": True}}]}, {"b"}),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
            },
            {"a"},
        ),
    ],
)
def test_a_caller_chooses_which_outputs_are_binary(body: Json, wanted: set[str] | None) -> None:
    assert decode(json.dumps({"inputs": [], **body}).encode(), None)[1] == wanted


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"data": None}, "has no data"),
        ({"data": [1.0]}, "data has 1 elements, where shape .* makes 2"),
        ({"shape": [1, 2], "data": [[1.0], [2.0]]}, "not nested as shape"),
        ({"shape": [-2]}, "negative dimension"),
        ({"datatype": "FP8"}, "is unknown"),
        ({"data": ["a", "b"]}, "is no FP64"),
        ({"parameters": {"binary_data_size": 16}}, "binary_data_size is 16, and 0 bytes are left"),
        ({"parameters": {"binary_data_size": -1}}, "binary_data_size is -1"),
        ({"parameters": {"shared_memory_region": "r"}}, "which is not served here"),
    ],
)
def test_a_tensor_that_contradicts_itself_is_refused(change: Json, text: str) -> None:
    refused(text, {"inputs": [{**ROW, **change}]})


def test_a_tensor_has_its_elements_once() -> None:
    head = json.dumps({"inputs": [{**ROW, "parameters": {"binary_data_size": 16}}]}).encode()
    refused("send one of them", head + bytes(16), len(head))


def test_bytes_that_belong_to_no_tensor_are_refused() -> None:
    head = json.dumps({"inputs": [ROW]}).encode()
    refused("3 bytes follow", head + bytes(3), len(head))


def test_a_header_longer_than_the_body_is_refused() -> None:
    refused("says 100, and the body has 2 bytes", b"{}", 100)


@given(st.binary())
def test_rubbish_is_refused_and_breaks_nothing(body: bytes) -> None:
    with pytest.raises(BadRequestError):
        decode(body, None)


def test_an_answer_whose_versions_differ_names_none() -> None:
    body, length = encoded(InferAnswer("m", None, None, []), set())
    assert (json.loads(body), length) == ({"model_name": "m", "outputs": []}, None)


def test_fault_6_15_parameters_may_be_null() -> None:
    tensor = {**ROW, "parameters": None}
    body = {"inputs": [tensor], "parameters": None, "outputs": [{"name": "a", "parameters": None}]}
    request, binary = decode(json.dumps(body).encode(), None)
    assert (request.inputs[0].data, request.parameters, binary) == ([1.0, 2.0], {}, set())
