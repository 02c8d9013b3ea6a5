import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from services.predictor.tests.lab import until

from predictor.adapters.journal.spool.spool import Spool
from predictor.adapters.journal.spool_journal import SpoolJournal
from servicekit.bus import Batch, Record
from servicekit.errors import ServicekitError, TooLargeError, UnavailableError
from servicekit.testing.metrics import metric_value


class Brokers:
    """A sender whose records are settled by hand, in any order."""

    def __init__(self, room: int = 10**6) -> None:
        self.room = room
        self.sent: list[bytes] = []
        self.taken: list[bytes] = []
        self.waiting: list[Callable[[ServicekitError | None], None]] = []
        self.up = True

    def send(self, record: Record) -> "Future[None]":
        raise NotImplementedError

    def send_batch(self, batch: Batch, on_done: Callable[[ServicekitError | None], None]) -> int:
        fits = max(0, self.room - len(self.waiting))
        for key, _, _ in batch.records[:fits]:
            assert key is not None
            assert (batch.topic, batch.headers) == ("t", (("shared", b"1"),))
            self.sent.append(key)
            self.waiting.append(partial(self._tell, key, on_done))
        return min(fits, len(batch.records))

    def _tell(
        self,
        key: bytes,
        on_done: Callable[[ServicekitError | None], None],
        error: ServicekitError | None,
    ) -> None:
        if error is None:
            self.taken.append(key)
        on_done(error)

    def poll(self) -> None:
        if self.up:
            self.settle()

    def settle(self, error: ServicekitError | None = None) -> None:
        waiting, self.waiting = self.waiting, []
        for on_done in waiting:
            on_done(error)

    def close(self, timeout: float) -> int:
        left = len(self.waiting)
        self.settle(UnavailableError("closed"))
        return left


def batch(*keys: str) -> Batch:
    return Batch("t", (("shared", b"1"),), [(key.encode(), b"{}", ()) for key in keys])


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def start(tmp_path: Path, brokers: Brokers) -> Iterator[Callable[..., SpoolJournal]]:
    made: list[SpoolJournal] = []

    def start(max_bytes: int = 1 << 20, **options: Any) -> SpoolJournal:
        spool = Spool(tmp_path, max_bytes)
        options = {"refuse": True, "pump_seconds": 0.001, "retry_seconds": 0.01, **options}
        made.append(SpoolJournal(spool, brokers, **options))
        return made[-1]

    yield start
    for journal in made:
        journal.stop()


def dropped(reason: str) -> float:
    return metric_value("predictions_dropped_total", reason=reason)


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(story())


def test_a_batch_is_done_before_the_brokers_have_it(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        brokers.up = False
        journal, heard = start(), []
        assert journal.write(batch("a", "b"), lambda *told: heard.append(told)) == 2
        assert heard == [(2, None)]
        await until(lambda: brokers.sent == [b"a", b"b"])
        brokers.up = True
        await until(lambda: metric_value("prediction_spool_bytes") == 0)

    play(story)


def test_what_waits_is_measured(start: Callable[..., SpoolJournal], brokers: Brokers) -> None:
    async def story() -> None:
        now, brokers.up = 1000.0, False
        journal = start(wall=lambda: now)
        journal.write(batch("a"), lambda *_: None)
        await until(lambda: brokers.sent)
        now = 1030.0
        assert metric_value("prediction_spool_oldest_seconds") == 30
        assert (
            0
            < metric_value("prediction_spool_bytes")
            < metric_value("prediction_spool_limit_bytes")
            == 1 << 20
        )
        brokers.up = True
        await until(lambda: metric_value("prediction_spool_bytes") == 0)
        assert metric_value("prediction_spool_oldest_seconds") == 0

    play(story)


def test_the_next_process_sends_what_this_one_could_not_in_order(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        brokers.up = False
        journal = start()
        for n in range(3):
            journal.write(batch(f"{n}a", f"{n}b"), lambda *_: None)
        journal.stop()
        assert journal.close(0) > 0
        brokers.up, brokers.sent = True, []
        again = start()
        again.start()
        again.write(batch("new"), lambda *_: None)
        await until(lambda: len(brokers.sent) == 7)
        assert brokers.sent == [b"0a", b"0b", b"1a", b"1b", b"2a", b"2b", b"new"]
        again.stop()
        assert again.close(1) == 0

    play(story)


def test_after_a_failure_all_from_it_on_is_sent_again_in_order(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        brokers.up = False
        journal = start()
        journal.write(batch("a"), lambda *_: None)
        await until(lambda: len(brokers.sent) == 1)
        journal.write(batch("b"), lambda *_: None)
        journal.write(batch("c"), lambda *_: None)
        await until(lambda: len(brokers.sent) == 3)
        first, second, third = brokers.waiting
        brokers.waiting = []
        third(None)
        second(UnavailableError("no broker took it"))
        await asyncio.sleep(0.02)
        assert len(brokers.sent) == 3, "not while anything is under way"
        first(None)
        brokers.up = True
        await until(lambda: len(brokers.sent) == 5)
        assert brokers.sent[3:] == [b"b", b"c"]

    play(story)


def test_as_much_as_may_be_under_way_is_sent_without_being_read_back(
    start: Callable[..., SpoolJournal], brokers: Brokers, tmp_path: Path
) -> None:
    def lose_the_files() -> None:
        for file in tmp_path.rglob("*.spool"):
            file.unlink()

    async def story() -> None:
        journal = start(max_under_way=2)
        for key in ("a", "b", "beyond"):
            journal.write(batch(key), lambda *_: None)
        lose_the_files()
        await until(lambda: len(brokers.sent) == 2)
        await asyncio.sleep(0.02)
        assert brokers.sent == [b"a", b"b"], "what is beyond is in the file alone"

    play(story)


def test_a_full_queue_of_the_client_is_filled_up_again_from_where_it_was_full(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        brokers.room = 3
        journal = start()
        journal.write(batch("a", "b"), lambda *_: None)
        journal.write(batch("c", "d"), lambda *_: None)
        await until(lambda: b"d" in brokers.sent)
        # The second batch did not fit, so it came again as a whole.
        assert brokers.sent == [b"a", b"b", b"c", b"c", b"d"]

    play(story)


def test_what_no_topic_can_take_is_counted_and_stops_nothing(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        before = dropped("refused")
        brokers.up = False
        journal = start()
        journal.write(batch("large"), lambda *_: None)
        await until(lambda: brokers.waiting)
        brokers.settle(TooLargeError("larger than the topic takes"))
        brokers.up = True
        journal.write(batch("next"), lambda *_: None)
        await until(lambda: len(brokers.sent) == 2)
        await until(lambda: metric_value("prediction_spool_bytes") == 0)
        assert dropped("refused") == before + 1

    play(story)


def fill(journal: SpoolJournal) -> int:
    """Write until the bound; returns the batches that were taken."""
    for n in range(10_000):
        if journal.write(batch(f"{n}-" + "x" * 10_000), lambda *_: None) == 0:
            return n
    raise AssertionError("there is no bound")


def test_over_the_bound_it_refuses_until_the_brokers_are_back(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        brokers.up = False
        journal = start()
        taken = fill(journal)
        assert journal.stalled, "nothing is computed for nothing"
        brokers.up = True
        await until(lambda: len(brokers.sent) == taken)
        await until(lambda: not journal.stalled)
        assert journal.write(batch("again"), lambda *_: None) == 1

    play(story)


def test_or_it_gives_predictions_that_the_log_will_miss_and_counts_them(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        before = dropped("full")
        brokers.up = False
        journal, heard = start(refuse=False), []
        while dropped("full") == before:
            journal.write(batch("x" * 10_000, "y"), lambda *told: heard.append(told))
        assert heard[-1] == (2, None)
        assert dropped("full") == before + 2
        assert not journal.stalled

    play(story)


def test_one_timer_pumps_while_anything_waits_and_none_when_nothing_does(
    start: Callable[..., SpoolJournal], brokers: Brokers
) -> None:
    async def story() -> None:
        polls = 0
        settle = brokers.settle

        def poll() -> None:
            nonlocal polls
            polls += 1
            settle()

        brokers.poll = poll  # type: ignore[method-assign]
        journal = start()
        for n in range(10):
            journal.write(batch(str(n)), lambda *_: None)
        await until(lambda: len(brokers.sent) == 10)
        await asyncio.sleep(0.02)
        quiet = polls
        assert quiet <= 4
        await asyncio.sleep(0.02)
        assert polls == quiet

    play(story)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(1, 3)),
        st.tuples(st.just("room"), st.integers(0, 6)),
        st.sampled_from([("turn", 0), ("settle", 0), ("fail", 0), ("restart", 0)]),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@example([("write", 1), ("turn", 0), ("write", 1), ("fail", 0)], 5, 200)
@example([*[("write", 1)] * 3, ("turn", 0), ("write", 1)], 2, 1)
@given(ACTS, st.integers(1, 5), st.sampled_from([1, 200]))
def test_all_is_sent_in_order_whatever_fails_and_however_little_is_remembered(
    acts: list[tuple[str, int]], max_under_way: int, pump_bytes: int
) -> None:
    """What came first is first sent first; what was sent again is dropped by the readers."""
    brokers, written = Brokers(), []
    brokers.up = False

    def begin(folder: str) -> SpoolJournal:
        journal = SpoolJournal(
            Spool(Path(folder), 1 << 20),
            brokers,
            refuse=True,
            pump_seconds=0,
            pump_bytes=pump_bytes,
            max_under_way=max_under_way,
            retry_seconds=0,
        )
        journal.start()
        return journal

    async def story(folder: str) -> None:
        journal = begin(folder)
        for act, amount in acts:
            match act:
                case "write":
                    keys = [str(len(written) + n) for n in range(amount)]
                    written.extend(keys)
                    journal.write(batch(*keys), lambda *_: None)
                case "room":
                    brokers.room = amount
                case "turn":
                    await asyncio.sleep(0.001)
                case "settle":
                    brokers.settle()
                case "fail":
                    brokers.settle(UnavailableError("away"))
                case "restart":
                    journal.stop()
                    journal.close(0)
                    journal = begin(folder)
        brokers.room, brokers.up = 10**6, True
        await until(lambda: metric_value("prediction_spool_bytes") == 0)
        journal.stop()
        assert journal.close(1) == 0

    with tempfile.TemporaryDirectory() as folder:
        play(lambda: story(folder))
    assert list(dict.fromkeys(brokers.sent)) == [key.encode() for key in written]
    assert set(brokers.taken) == set(brokers.sent)
