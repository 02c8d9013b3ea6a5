import asyncio
from collections.abc import Callable, Coroutine

import pytest

from predictor.serving.refusal_limiter import BURST_SECONDS, TICK_SECONDS, RefusalLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(story: Callable[[Clock], Coroutine[None, None, None]]) -> None:
    asyncio.run(story(Clock()))


def test_a_few_refusals_go_at_once() -> None:
    async def story(clock: Clock) -> None:
        sent: list[int] = []
        pace = RefusalLimiter(100, clock)
        for i in range(10):  # a tenth of a second's
            pace.send(lambda i=i: sent.append(i))
        assert sent == list(range(10))

    run(story)


def test_more_wait_their_turn_in_their_order() -> None:
    async def story(clock: Clock) -> None:
        sent: list[int] = []
        pace = RefusalLimiter(100, clock)
        for i in range(13):
            pace.send(lambda i=i: sent.append(i))
        assert (sent, len(pace)) == (list(range(10)), 3)
        for count in (11, 12, 13):
            clock.now += 0.0101
            pace.tick()
            assert sent == list(range(count))
        assert len(pace) == 0

    run(story)


@pytest.mark.parametrize("per_second", [1, 7, 100, 2500])
def test_over_time_no_more_go_than_the_rate(per_second: int) -> None:
    async def story(clock: Clock) -> None:
        sent: list[int] = []
        pace = RefusalLimiter(per_second, clock)
        for i in range(10 * per_second):
            pace.send(lambda i=i: sent.append(i))
        for _ in range(300):
            clock.now += TICK_SECONDS
            pace.tick()
        burst = max(1, int(per_second * BURST_SECONDS))
        assert 3 * per_second - 1 <= len(sent) <= 3 * per_second + burst + 1

    run(story)


def test_a_quiet_time_is_not_made_up_for() -> None:
    async def story(clock: Clock) -> None:
        sent: list[int] = []
        pace = RefusalLimiter(100, clock)
        clock.now = 3600.0
        for i in range(100):
            pace.send(lambda i=i: sent.append(i))
        assert len(sent) == 10

    run(story)


def test_without_a_bound_all_go_at_once() -> None:
    sent: list[int] = []
    pace = RefusalLimiter(0)
    for i in range(1000):
        pace.send(lambda i=i: sent.append(i))
    assert len(sent) == 1000


def test_those_who_wait_are_woken_by_the_loop() -> None:
    async def story(clock: Clock) -> None:
        pace = RefusalLimiter(500)
        async with asyncio.timeout(60):
            await asyncio.gather(*(pace.turn() for _ in range(20)))

    run(story)


def test_one_who_left_does_not_disturb_the_others() -> None:
    async def story(clock: Clock) -> None:
        pace = RefusalLimiter(100)
        waits = [asyncio.ensure_future(pace.turn()) for _ in range(13)]
        await asyncio.sleep(0)
        waits[11].cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(*waits[:11], waits[12])

    run(story)
