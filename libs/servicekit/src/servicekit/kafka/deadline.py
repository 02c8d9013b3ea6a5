"""A time limit for calls of librdkafka that know none."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from servicekit.errors import UnavailableError


def within(seconds: float, doing: str, call: Callable[..., Any], *args: Any) -> None:
    """Make a call on a thread of its own, and wait for it no longer than that.

    A call that is late goes on by itself: what it works on must not be used again.

    Raises:
        UnavailableError: it did not return in time.
        Exception: what the call raised.
    """
    answer: Future[None] = Future()

    def work() -> None:
        try:
            call(*args)
            answer.set_result(None)
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="kafka-deadline", daemon=True).start()
    try:
        answer.result(seconds)
    except TimeoutError:
        if answer.done():
            raise
        raise UnavailableError(f"Kafka, while {doing}: no answer within {seconds:g} s") from None
