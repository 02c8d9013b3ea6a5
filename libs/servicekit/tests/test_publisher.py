"""Publishing from an event loop: acknowledged, or an error that says what to do."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from unittest.mock import patch

import pytest

from servicekit.bus import Record
from servicekit.errors import OverloadedError, UnavailableError
from servicekit.event import Event
from servicekit.memory import MemoryBus
from servicekit.publisher import AsyncPublisher


class SlowSender:
    """Acknowledges when the test says so, on a thread as Kafka's does."""

    def __init__(self, room: int = 1000) -> None:
        self.sent: list[Future[None]] = []
        self._room = room

    def send(self, record: Record) -> "Future[None]":
        if len(self.sent) >= self._room:
            raise OverloadedError("full")
        self.sent.append(Future())
        return self.sent[-1]

    def acknowledge(self, *errors: Exception | None) -> None:
        def work() -> None:
            for future, error in zip(self.sent, errors, strict=True):
                future.set_exception(error) if error else future.set_result(None)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def close(self, timeout: float) -> int:
        return 0


@pytest.fixture
def event(contract: Callable[..., Any]) -> Callable[[int], Event[Any]]:
    asked = contract()
    return lambda n: Event(body=asked(name="a", n=n), source="/s", time=MemoryBus().clock.now())


Make = Callable[[int], Event[Any]]


def test_what_was_published_can_be_read(world: Any, contract: Callable[..., Any]) -> None:
    asked = contract()
    now = MemoryBus().clock.now()
    events = [Event(body=asked(name="a", n=n), source="/s", time=now) for n in range(300)]
    world.make(asked.topic())
    sender = world.bus.sender()

    async def publish() -> None:
        publisher = AsyncPublisher(sender, "s")
        await publisher.publish_many(())
        await publisher.publish_many(events[:100])
        await asyncio.gather(*(publisher.publish(event) for event in events[100:]))

    asyncio.run(publish())
    sender.close(5)
    assert [body.n for body in world.bodies(asked)] == list(range(300))


async def begun(task: "asyncio.Task[None]", sender: SlowSender, count: int) -> None:
    while len(sender.sent) < count and not task.done():  # noqa: ASYNC110 - no event to wait for
        await asyncio.sleep(0)


def test_it_returns_when_the_last_record_is_acknowledged(event: Make) -> None:
    async def scenario() -> None:
        sender = SlowSender()
        task = asyncio.create_task(AsyncPublisher(sender, "s").publish_many([event(1), event(2)]))
        await begun(task, sender, 2)
        sender.sent[0].set_result(None)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        sender.sent[1].set_result(None)
        await asyncio.wait_for(task, 5)

    asyncio.run(scenario())


def test_one_lost_record_is_an_error_of_the_whole(event: Make) -> None:
    async def scenario() -> None:
        sender = SlowSender()
        task = asyncio.create_task(
            AsyncPublisher(sender, "s").publish_many([event(1), event(2), event(3)])
        )
        await begun(task, sender, 3)
        sender.acknowledge(None, UnavailableError("lost"), None)
        with pytest.raises(UnavailableError, match="lost"):
            await asyncio.wait_for(task, 5)

    asyncio.run(scenario())


def test_a_full_queue_is_said_at_once(event: Make) -> None:
    async def scenario() -> None:
        sender = SlowSender(room=1)
        with pytest.raises(OverloadedError):
            await AsyncPublisher(sender, "s").publish_many([event(1), event(2)])
        # The first one's late answer finds nobody, and disturbs nobody.
        sender.acknowledge(UnavailableError("late"))
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_many_acknowledgements_are_one_wake_up(event: Make) -> None:
    async def scenario() -> None:
        sender = SlowSender()
        publisher = AsyncPublisher(sender, "s")
        tasks = [asyncio.create_task(publisher.publish(event(n))) for n in range(200)]
        await begun(tasks[-1], sender, 200)
        loop = asyncio.get_running_loop()
        with patch.object(loop, "call_soon_threadsafe", wraps=loop.call_soon_threadsafe) as wake_up:
            sender.acknowledge(*[None] * 200)
            await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert wake_up.call_count == 1

    asyncio.run(scenario())


def test_a_caller_who_went_away_is_no_trouble(event: Make) -> None:
    async def scenario() -> None:
        sender = SlowSender()
        task = asyncio.create_task(AsyncPublisher(sender, "s").publish(event(1)))
        await begun(task, sender, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sender.acknowledge(None)
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_an_acknowledgement_after_the_loop_is_gone_is_no_trouble(event: Make) -> None:
    sender = SlowSender()

    async def leave() -> None:
        task = asyncio.create_task(AsyncPublisher(sender, "s").publish(event(1)))
        await begun(task, sender, 1)

    asyncio.run(leave())
    sender.acknowledge(None)
