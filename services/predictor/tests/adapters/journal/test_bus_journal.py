import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future

import pytest
from services.predictor.tests.lab import until

from predictor.adapters.journal.bus_journal import BusJournal
from servicekit.bus import Batch, Record
from servicekit.errors import OverloadedError, ServicekitError, UnavailableError

BATCH = Batch("t", (("shared", b"1"),), [(str(i).encode(), b"{}", ()) for i in range(3)])
ONE = Batch(BATCH.topic, BATCH.headers, BATCH.records[:1])
RECORDS = list(BATCH.split())


class Heard(list[tuple[int, ServicekitError | None]]):
    """What a journal told."""

    def take(self, sent: int, error: ServicekitError | None) -> None:
        self.append((sent, error))


class HandSender:
    """A sender whose acknowledgements are given by hand."""

    def __init__(self, room: int = 100) -> None:
        self.room = room
        self.sent: list[tuple[Record, Future[None]]] = []

    def send(self, record: Record) -> "Future[None]":
        if len(self.sent) >= self.room:
            raise OverloadedError("full")
        future: Future[None] = Future()
        self.sent.append((record, future))
        return future

    def send_batch(self, batch: Batch, on_done: Callable[[ServicekitError | None], None]) -> int:
        raise NotImplementedError

    def poll(self) -> None: ...

    def close(self, timeout: float) -> int:
        return 0

    def acknowledge(self, *which: int) -> None:
        for i in which:
            self.sent[i][1].set_result(None)

    def fail(self, *which: int) -> None:
        for i in which:
            self.sent[i][1].set_exception(UnavailableError("no broker took it"))


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(story())


def test_a_batch_is_done_with_its_last_acknowledgement_and_not_before() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        journal = BusJournal(sender, deadline=5)
        assert journal.write(BATCH, heard.take) == 3
        sender.acknowledge(0, 2)
        await asyncio.sleep(0.02)
        assert heard == []
        sender.acknowledge(1)
        await until(lambda: heard)
        assert heard == [(3, None)]
        assert not journal.stalled

    play(story)


def test_acknowledgements_may_come_from_another_thread() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        BusJournal(sender, deadline=5).write(BATCH, heard.take)
        await asyncio.to_thread(sender.acknowledge, 0, 1, 2)
        await until(lambda: heard)
        assert heard == [(3, None)]

    play(story)


@pytest.mark.parametrize(("room", "sent"), [(0, 0), (2, 2), (3, 3)])
def test_a_full_queue_takes_the_first_records_only(room: int, sent: int) -> None:
    async def story() -> None:
        sender, heard = HandSender(room), Heard()
        assert BusJournal(sender, deadline=5).write(BATCH, heard.take) == sent
        sender.acknowledge(*range(sent))
        if sent:
            await until(lambda: heard)
        assert heard == [(sent, None)] * min(sent, 1)

    play(story)


def test_after_the_deadline_the_batch_has_failed_and_the_journal_is_stalled() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        journal = BusJournal(sender, deadline=0.01)
        journal.write(BATCH, heard.take)
        await until(lambda: heard)
        assert isinstance(heard[0][1], UnavailableError)
        assert journal.stalled
        sender.acknowledge(0, 1, 2)
        await until(lambda: not journal.stalled)
        assert len(heard) == 1

    play(story)


def test_a_record_that_no_broker_took_is_sent_again_until_one_does() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        journal = BusJournal(sender, deadline=5, retry_seconds=0.001)
        journal.write(BATCH, heard.take)
        sender.acknowledge(0)
        sender.fail(1, 2)
        await until(lambda: heard)
        assert isinstance(heard[0][1], UnavailableError)
        assert journal.stalled
        await until(lambda: len(sender.sent) == 5)
        sender.acknowledge(3)
        sender.fail(4)
        await until(lambda: len(sender.sent) == 6)
        sender.acknowledge(5)
        await until(lambda: not journal.stalled)
        again = [record for record, _ in sender.sent[3:]]
        assert again == [RECORDS[1], RECORDS[2], RECORDS[2]]
        assert len(heard) == 1

    play(story)


def test_a_record_that_finds_the_queue_full_is_kept_for_later() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        journal = BusJournal(sender, deadline=5, retry_seconds=0.001)
        journal.write(ONE, heard.take)
        sender.room = 1
        sender.fail(0)
        await until(lambda: heard)
        await asyncio.sleep(0.02)
        assert journal.unwritten == 1
        sender.room = 2
        await until(lambda: len(sender.sent) == 2)
        sender.acknowledge(1)
        await until(lambda: not journal.stalled)

    play(story)


class PolledSender(HandSender):
    """Ends its futures inside `poll`, as a polled sender of Kafka does."""

    polls = 0

    def poll(self) -> None:
        self.polls += 1
        if self.polls == 3:
            self.acknowledge(*range(len(self.sent)))


def test_acknowledgements_are_asked_for_while_any_is_awaited_and_no_longer() -> None:
    async def story() -> None:
        sender, heard = PolledSender(), Heard()
        BusJournal(sender, deadline=5, poll_seconds=0.001).write(BATCH, heard.take)
        await until(lambda: heard)
        assert heard == [(3, None)]
        asked = sender.polls
        await asyncio.sleep(0.02)
        assert sender.polls <= asked + 1

    play(story)


def test_one_timer_asks_however_many_batches_come_and_go() -> None:
    class Busy(HandSender):
        polls = 0

        def poll(self) -> None:
            self.polls += 1
            for _, future in self.sent:
                if not future.done():
                    future.set_result(None)

    async def story() -> None:
        sender, heard = Busy(), Heard()
        journal = BusJournal(sender, deadline=5, poll_seconds=0.001)
        for n in range(30):
            journal.write(ONE, heard.take)
            await until(lambda n=n: len(heard) == n + 1)
        # A batch needs one look; chains of timers that pile up would make hundreds.
        assert sender.polls <= 31

    play(story)


def test_early_a_batch_is_done_at_once_and_once_and_still_sent_again_when_it_failed() -> None:
    async def story() -> None:
        sender, heard = HandSender(), Heard()
        journal = BusJournal(sender, deadline=5, early=True, retry_seconds=0.001)
        journal.write(BATCH, heard.take)
        await asyncio.sleep(0)
        assert heard == [(3, None)]
        sender.acknowledge(0, 1)
        sender.fail(2)
        await until(lambda: len(sender.sent) == 4)
        assert journal.stalled, "nobody is answered while records wait for a broker"
        sender.acknowledge(3)
        await until(lambda: not journal.stalled)
        assert heard == [(3, None)]

    play(story)
