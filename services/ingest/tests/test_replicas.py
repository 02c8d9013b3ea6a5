"""Two replicas over one lake: each row once, wherever its partition is."""

from dataclasses import replace

import pytest

from event_schemas import DataArrived
from servicekit.cloudevents import decode
from servicekit.errors import UnavailableError
from servicekit.loops.sink import Received, SinkLoop


def drain(loop: SinkLoop) -> None:
    while loop.step():
        pass


def arrivals(bus) -> dict[str, DataArrived]:
    """By event id, as a consumer that drops ids that it has seen."""
    found: dict[str, DataArrived] = {}
    for event in bus.events(DataArrived):
        assert found.setdefault(event.id, event.body) == event.body
    return found


@pytest.fixture
def give(bus):
    """Give the partition of records to a replica, as a rebalance would."""

    def to(member: str) -> None:
        bus.owners["ingest", "record.received", 0] = member

    return to


def test_fault_2_1_a_partition_that_moves_away_and_back_is_written_once(
    bus, receive, start, rows_of, give
):
    give("a")
    a, b = start(member="a", recent_ids=0), start(member="b", recent_ids=0)
    receive(0, 1)
    receive(2, temp="bad")
    drain(a)
    give("b")
    drain(a)  # it notices that the partition is gone
    receive(3, 4)
    drain(b)
    give("a")
    # b was killed before it had committed its offsets.
    bus.committed["ingest", "record.received", 0] = 3
    receive(5, 6)
    drain(a)
    assert [row["event_id"] for row in rows_of("weather")] == [f"e-{i}" for i in (0, 1, 3, 4, 5, 6)]
    assert sum(body.rows for body in arrivals(bus).values()) == 6


def test_fault_2_1_ids_that_another_replica_took_are_known_when_a_partition_comes_back(
    bus, receive, start, rows_of, give
):
    give("a")
    a, b = start(member="a"), start(member="b")
    receive(0)
    drain(a)
    give("b")
    drain(a)
    receive(1)
    receive(2, temp="bad")
    drain(b)
    give("a")
    receive(1)  # the sender's retry: a new message with an old id
    receive(2, temp="bad")
    drain(a)
    assert [row["event_id"] for row in rows_of("weather")] == ["e-0", "e-1"]
    assert len(rows_of("quarantine/weather")) == 1


def test_fault_2_1_a_replica_that_was_not_told_reads_the_table_again_before_it_doubles_a_row(
    bus, receive, start, rows_of
):
    """A write of another partition brings its handle up to date: Delta sees no conflict then."""
    a, b = start(member="a", recent_ids=0), start(member="b", recent_ids=0)
    receive(0)
    drain(a)
    receive(1, 2)
    drain(b)
    first, *stale = [Received(decode(m), m) for m in bus.messages("record.received")]
    elsewhere = first.message._replace(partition=1, offset=0)
    a._sink.write([Received(replace(first.event, id="e-9"), elsewhere)])
    with pytest.raises(UnavailableError, match=r"record.received-0 up to 2, and not to 0"):
        a._sink.write(stale)
    assert a._sink.write(stale)
    assert len(rows_of("weather")) == 4
