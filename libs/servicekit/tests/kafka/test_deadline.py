"""A call that may never return is waited for only so long."""

import threading

import pytest

from servicekit.errors import UnavailableError
from servicekit.kafka.deadline import within


def test_a_call_that_returns_has_had_its_effect() -> None:
    done: list[int] = []
    within(5, "testing", done.append, 1)
    assert done == [1]


def test_a_call_that_does_not_return_is_an_outage() -> None:
    release = threading.Event()
    with pytest.raises(UnavailableError, match=r"while testing: no answer within 0\.05 s"):
        within(0.05, "testing", release.wait)
    release.set()


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("its own")])
def test_what_a_call_raises_is_raised(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        within(5, "testing", fail)
