import asyncio
from dataclasses import dataclass

import pytest

from predictor.domain.errors import DeadlineError
from predictor.handlers.deadlines import awaited, until


@dataclass
class Waiting:
    deadline: float
    gone: bool = False


def test_at_its_deadline_it_is_too_late() -> None:
    early, at, late = Waiting(10.001), Waiting(10.0), Waiting(9.0)
    assert awaited([early, at, late], 10.0) == ([early], [at, late])


def test_what_nobody_waits_for_is_no_work() -> None:
    gone, there = Waiting(11.0, gone=True), Waiting(11.0)
    assert awaited([gone, there], 10.0) == ([there], [gone])


def test_a_batch_that_is_in_time_stays_as_it_is() -> None:
    batch = [Waiting(11.0), Waiting(12.0)]
    worth, late = awaited(batch, 10.0)
    assert worth is batch
    assert not late


@pytest.mark.parametrize("left", [-1.0, 0.0, 0.001])
def test_an_end_that_does_not_come_in_time_is_told_with_what_was_allowed(left: float) -> None:
    async def story() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with pytest.raises(DeadlineError, match=r"within 0\.5 s"):
            await until(done, left, 0.5)
        assert done.done(), "whoever works for it can see that"

    asyncio.run(story())


def test_an_end_in_time_is_an_end() -> None:
    async def story() -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(done.set_result, None)
        await until(done, 60.0, 60.0)

    asyncio.run(story())
