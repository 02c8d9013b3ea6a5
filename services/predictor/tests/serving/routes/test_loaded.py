import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.serving.routes.loaded import naming

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True).map(tuple)


@given(names, st.data())
def test_features_are_logged_under_any_name(of: tuple[str, ...], data: st.DataObject) -> None:
    row = data.draw(st.lists(st.none() | st.text() | finite, min_size=len(of), max_size=len(of)))
    assert json.loads(msgspec.json.encode(naming(of)(row))) == dict(zip(of, row, strict=True))


@pytest.mark.parametrize("name", ["plain", 'in "quotes"'])
def test_a_prediction_without_a_row_is_logged_without_features(name: str) -> None:
    assert msgspec.json.encode(naming((name,))([])) == b"{}"
