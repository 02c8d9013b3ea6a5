from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.errors import shown


@given(st.text() | st.binary() | st.lists(st.integers()), st.integers(1, 80))
def test_what_a_sender_sees_again_is_never_longer_than_the_limit(value: object, most: int) -> None:
    text = shown(value, most)
    assert len(text) <= most
    assert text == repr(value) or (text[-1] == "…" and repr(value).startswith(text[:-1]))
