import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter

from predictor.serving.breaker import Breaker
from servicekit.errors import UnavailableError


class Time:
    now = 0.0


async def answer() -> str:
    return "yes"


async def away() -> str:
    raise UnavailableError("connection refused")


async def never() -> str:
    await asyncio.Event().wait()
    return "too late"


def asked(
    *questions: tuple[float, Callable[[], Awaitable[str]]], timeout: float = 60
) -> tuple[list[str | None], float]:
    """What comes of questions, each at its time; and how many failures are counted."""
    registry, time = CollectorRegistry(), Time()
    failures = Counter("failures", "failures", registry=registry)
    breaker = Breaker("the store", failures, timeout=timeout, pause=10, now=lambda: time.now)

    async def session() -> list[str | None]:
        found = []
        for at, question in questions:
            time.now = at
            found.append(await breaker.ask(question))
        return found

    return asyncio.run(session()), registry.get_sample_value("failures_total") or 0.0


def test_what_is_asked_is_answered() -> None:
    assert asked((0, answer), (0, answer)) == (["yes", "yes"], 0)


def test_after_a_failure_nothing_is_asked_until_the_pause_is_over() -> None:
    found = asked((0, away), (9.9, answer), (10, answer))
    assert found == ([None, None, "yes"], 1)


def test_each_failure_begins_a_pause() -> None:
    assert asked((0, away), (10, away), (19.9, answer)) == ([None, None, None], 2)


def test_what_is_too_slow_has_failed() -> None:
    assert asked((0, never), (1, answer), timeout=0.001) == ([None, None], 1)
