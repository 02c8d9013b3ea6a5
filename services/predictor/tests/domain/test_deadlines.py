import pytest

from predictor.domain.deadlines import Timeouts, seconds, too_late
from predictor.domain.errors import BadRequestError


@pytest.mark.parametrize(
    ("text", "wanted"), [("1", 1.0), ("0.25", 0.25), (" 2 ", 2.0), ("1e-3", 0.001), ("1e9", 1e9)]
)
def test_a_timeout_is_seconds(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "-inf", "1_0", "1s", "250ms", "é"])
def test_what_is_no_number_above_zero_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"send seconds above 0, e\.g\. 0\.25") as caught:
        seconds(text)
    assert (caught.value.code, caught.value.field) == ("invalid_request", "X-Request-Timeout")


@pytest.mark.parametrize(
    ("asked", "wanted"), [(None, 5.0), (0.1, 0.1), (5.5, 5.5), (10.0, 10.0), (10.1, 10.0)]
)
def test_a_request_gets_what_it_asks_for_up_to_the_maximum(
    asked: float | None, wanted: float
) -> None:
    assert Timeouts(default=5.0, maximum=10.0).of(asked) == wanted


def test_a_caller_that_is_too_late_hears_its_deadline() -> None:
    assert "within 0.25 s" in too_late(0.25).message
