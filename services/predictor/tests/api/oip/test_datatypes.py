import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.api.oip.datatypes import (
    BYTES,
    DATATYPES,
    FIXED,
    check_json,
    from_bytes,
    require_datatype,
    to_bytes,
)
from predictor.domain.errors import BadRequestError

WHOLE = [name for name in FIXED if name.startswith(("INT", "UINT"))]


def elements(datatype: str) -> st.SearchStrategy[object]:
    """All that a datatype can hold, as JSON has it."""
    if datatype == BYTES:
        return st.text()
    if datatype == "BOOL":
        return st.booleans()
    if datatype in WHOLE:
        kind = FIXED[datatype]
        return st.integers(int(kind.low), int(kind.high))
    kind = FIXED[datatype]
    numbers = st.floats(max(kind.low, -1e300), min(kind.high, 1e300))
    return numbers.map(lambda value: np.array(value, kind.code).item())


tensors = st.sampled_from([name for name in DATATYPES if name != "BF16"]).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(elements(name)))
)


@given(tensors)
def test_elements_come_back_from_their_bytes(tensor: tuple[str, list[object]]) -> None:
    datatype, values = tensor
    assert from_bytes(datatype, to_bytes(datatype, values), len(values), "x") == values


@given(tensors)
def test_all_that_a_datatype_holds_may_come_as_json(tensor: tuple[str, list[object]]) -> None:
    datatype, values = tensor
    given_values = [*values, None]
    assert check_json(datatype, given_values, "x") is given_values


@given(tensors, st.integers(-3, 3).filter(bool))
def test_bytes_for_another_count_of_elements_are_refused(
    tensor: tuple[str, list[object]], more: int
) -> None:
    datatype, values = tensor
    with pytest.raises(BadRequestError) as caught:
        from_bytes(datatype, to_bytes(datatype, values), len(values) + more, "x")
    assert (caught.value.code, caught.value.field) == ("invalid_tensor", "x")


@pytest.mark.parametrize("datatype", WHOLE)
def test_a_whole_number_beyond_the_range_is_none_of_its_datatype(datatype: str) -> None:
    kind = FIXED[datatype]
    for value in (int(kind.low) - 1, int(kind.high) + 1):
        with pytest.raises(BadRequestError, match=rf"x\[1\]: {value} is no {datatype}"):
            check_json(datatype, [0, value], "x")


@pytest.mark.parametrize(
    ("datatype", "value"),
    [
        ("INT32", True),
        ("INT32", 1.0),
        ("FP32", 1e39),
        ("FP32", math.nan),
        ("FP16", 65505),
        ("FP64", "1"),
        ("FP64", True),
        ("BOOL", 1),
        (BYTES, 1),
        (BYTES, b"a"),
    ],
)
def test_a_value_of_another_kind_is_refused(datatype: str, value: object) -> None:
    with pytest.raises(BadRequestError, match=rf"is no {datatype}"):
        check_json(datatype, [value], "x")


def test_a_bf16_is_the_upper_half_of_a_float32() -> None:
    values = np.array([1.0, -2.5, 0.0], np.float32)
    halves = (values.view("<u4") >> 16).astype("<u2")
    assert from_bytes("BF16", halves.tobytes(), 3, "x") == [1.0, -2.5, 0.0]


def test_a_bf16_has_no_form_in_json() -> None:
    with pytest.raises(BadRequestError, match="send it as binary data"):
        check_json("BF16", [1.0], "x")


@given(st.lists(st.text(), min_size=1), st.data())
def test_texts_that_are_cut_off_are_refused(values: list[str], data: st.DataObject) -> None:
    whole = to_bytes(BYTES, values)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(BadRequestError):
        from_bytes(BYTES, whole[:cut], len(values), "x")


def test_bytes_that_are_no_utf_8_are_refused_by_their_place() -> None:
    with pytest.raises(BadRequestError, match=r"x\[0\] is no UTF-8"):
        from_bytes(BYTES, b"\x01\x00\x00\x00\xff", 1, "x")


def test_an_unknown_datatype_is_told_the_known_ones() -> None:
    for datatype in DATATYPES:
        require_datatype(datatype, "x")
    with pytest.raises(BadRequestError, match="'FP8' is unknown; known are BOOL"):
        require_datatype("FP8", "x")
