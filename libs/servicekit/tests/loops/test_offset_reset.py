"""A loop is moved to another place of its topics, with its state or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from servicekit.errors import RefusedResetError
from servicekit.event import Event
from servicekit.loops.job import JobLoop
from servicekit.loops.offset_reset import OffsetReset
from servicekit.loops.sink import SinkLoop
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.start import Start
from servicekit.table import Table

EARLIEST = OffsetReset(Start("earliest"))
AFRESH = OffsetReset(Start("earliest"), reset_state=True)


class Counting:
    """Counts what it sees by name, in lives that follow each other."""

    def __init__(self, world: Any, service: str, asked: Any) -> None:
        self._world = world
        self._service = service
        self._asked = asked
        self.seen: list[int] = []
        """Of the life that is under way."""
        self.totals: Table[int] = Table.of("totals", int)

    def loop(self) -> TransactionalLoop:
        self.seen, self.totals = [], Table.of("totals", int)

        def count(event: Event[Any]) -> Any:
            self.seen.append(event.body.n)
            self.totals.put(event.body.name, (self.totals.get(event.body.name) or 0) + 1)
            return ()

        processor = Processor(self._service, {self._asked: count}, [self.totals])
        return TransactionalLoop(processor, self._world.bus, poll_seconds=0.2)

    def live(self, until: int) -> dict[str, int]:
        """The totals after a life that sees so many."""
        loop = self.loop()
        loop.open()
        for _ in range(50):
            if not loop.step() and len(self.seen) >= until:
                break
        loop.close()
        return dict(self.totals.items())

    def publish(self, start: int, count: int) -> None:
        self._world.publish(*(self._asked(name="a", n=n) for n in range(start, start + count)))


@pytest.fixture
def counting(world: Any, unique: str, contract: Callable[..., Any]) -> Counting:
    found = Counting(world, unique, contract())
    found.publish(0, 4)
    assert found.live(until=4) == {"a": 4}
    return found


def test_a_restart_reads_nothing_again(counting: Counting) -> None:
    counting.publish(4, 1)
    assert counting.live(until=1) == {"a": 5}
    assert counting.seen == [4]


def test_a_place_before_the_present_one_is_refused_while_there_is_state(
    counting: Counting,
) -> None:
    with pytest.raises(RefusedResetError, match=r"counted from t\w+\[0\], .* add --reset-state"):
        counting.loop().reset_offsets(EARLIEST)
    assert counting.live(until=0) == {"a": 4}
    assert counting.seen == []


def test_with_its_state_reset_it_counts_all_again_from_there(counting: Counting) -> None:
    report = counting.loop().reset_offsets(AFRESH)
    assert [(o.committed is not None, o.target) for o in report.offsets] == [(True, 0)]
    assert report.forgotten == 1
    assert counting.live(until=4) == {"a": 4}
    assert counting.seen == [0, 1, 2, 3]


def test_what_waits_can_be_skipped_and_the_state_stays(counting: Counting) -> None:
    counting.publish(4, 3)
    counting.loop().reset_offsets(OffsetReset(Start("latest")))
    counting.publish(7, 1)
    assert counting.live(until=1) == {"a": 5}
    assert counting.seen == [7]


class Remembering:
    """A sink that says what it was given."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def recover(self) -> Any:
        return ()

    def taken_over(self, partitions: Any) -> None:
        pass

    def write(self, batch: Any) -> Any:
        self.given += [item.event.body.n for item in batch]
        return ()


def test_a_sink_and_a_job_are_moved_without_a_word_about_state(
    world: Any, unique: str, contract: Callable[..., Any]
) -> None:
    asked, sink, done = contract(), Remembering(), []

    def job(event: Event[Any]) -> Any:
        done.append(event.body.n)
        return ()

    loops: list[Any] = [
        SinkLoop(unique, sink, world.bus, topics=[asked.topic()], poll_seconds=0.2),
        JobLoop(f"{unique}j", {asked: job}, world.bus, poll_seconds=0.2),
    ]
    world.publish(*(asked(name="a", n=n) for n in range(3)))
    for loop, found in zip(loops, (sink.given, done), strict=True):
        for _ in range(2):
            loop.open()
            for _ in range(50):
                if not loop.step() and found:
                    break
            loop.close()
            assert sorted(found) == [0, 1, 2]
            found.clear()
            loop.reset_offsets(EARLIEST)
