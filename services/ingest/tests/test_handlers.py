"""Records through the loop into a real lake, with crashes between any two steps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from event_schemas import DataArrived, DataQuarantined
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.loops.sink import Received, SinkLoop
from servicekit.testing.metrics import metric_value


class Crash(BaseException):
    """The process dies here."""


def drain(loop: SinkLoop) -> None:
    while loop.step():
        pass


def arrivals(bus) -> dict[str, DataArrived]:
    """By event id, as a consumer that drops ids that it has seen."""
    found: dict[str, DataArrived] = {}
    for event in bus.events(DataArrived):
        assert found.setdefault(event.id, event.body) == event.body
    return found


def test_a_batch_becomes_rows_features_and_one_event(bus, receive, start, rows_of, online):
    receive(2, 0, 1)
    drain(start())
    rows = rows_of("weather")
    assert [row["event_id"] for row in rows] == ["e-0", "e-1", "e-2"]
    assert rows[0]["entity"] == "JFK"
    assert rows[0]["temp"] == 30.0
    assert rows[0]["gusts"] is None
    assert rows[0]["event_time"] == rows[0]["observed_at"]
    assert online.opened
    assert online.rows["weather_by_origin", "JFK"].event_id == "e-2"
    (body,) = arrivals(bus).values()
    assert (body.rows, body.total_rows, body.quarantined_rows) == (3, 3, 0)
    assert body.table_version == DeltaTable(body.table_uri).version()
    assert body.event_time is not None
    assert body.event_time.contains(rows[0]["event_time"])
    assert body.event_time.contains(rows[2]["event_time"])
    profile = {column.column: column for column in body.profile}
    assert (profile["temp"].minimum, profile["temp"].maximum) == (30.0, 32.0)
    assert profile["gusts"].missing == 3
    assert profile["origin"].distinct == 1


def test_rows_that_break_the_contract_lie_in_quarantine_with_their_reasons(
    bus, receive, start, rows_of
):
    receive(0)
    receive(1, 2, temp="cold")
    receive(3, temp=999, gust=1)
    drain(start())
    assert [row["event_id"] for row in rows_of("weather")] == ["e-0"]
    kept_out = rows_of("quarantine/weather")
    assert [row["event_id"] for row in kept_out] == ["e-1", "e-2", "e-3"]
    assert kept_out[0]["reasons"] == [{"column": "temp", "rule": "type", "value": "cold"}]
    assert '"temp": "cold"' in kept_out[0]["record"]
    (event,) = bus.events(DataQuarantined)
    body: DataQuarantined = event.body
    assert body.rows == 3
    first = body.reasons[0]
    assert (first.column, first.rule, first.example, first.rows) == ("temp", "type", "cold", 2)
    assert {r.rule for r in body.reasons} == {"type", "maximum", "unknown_column"}
    assert next(iter(arrivals(bus).values())).quarantined_rows == 3


def test_records_of_an_unknown_dataset_are_kept_and_told(bus, receive, start, rows_of):
    receive(0, dataset="whether")
    receive(1, dataset="other")
    drain(start())
    assert [row["dataset"] for row in rows_of("quarantine/_unknown")] == ["whether", "other"]
    bodies: list[DataQuarantined] = [event.body for event in bus.events(DataQuarantined)]
    assert {body.dataset for body in bodies} == {"whether", "other"}
    assert all(body.contract_version is None for body in bodies)
    assert len({event.id for event in bus.events(DataQuarantined)}) == 2


def test_a_column_of_no_contract_is_dropped_where_the_contract_says_so(receive, start, rows_of):
    receive(0, dataset="landings", delay=3)
    drain(start())
    assert rows_of("landings")[0]["delay"] == 3.0
    assert "temp" not in rows_of("landings")[0]


def test_an_event_time_far_ahead_of_the_clock_is_quarantined(bus, receive, start, rows_of):
    bus.clock = FakeClock(datetime(2013, 1, 1, 10, tzinfo=UTC))
    receive(24, 25)  # a day ahead is the limit
    drain(start())
    assert [row["event_id"] for row in rows_of("weather")] == ["e-24"]
    assert rows_of("quarantine/weather")[0]["reasons"][0]["rule"] == "future"


def test_fault_1_6_a_row_minutes_ahead_of_the_clock_is_stored_and_freezes_no_online_row(
    bus, receive, start, rows_of, online
):
    bus.clock = FakeClock(datetime(2013, 1, 1, 10, tzinfo=UTC))
    receive(0, 20)
    loop = start()
    drain(loop)
    assert [row["event_id"] for row in rows_of("weather")] == ["e-0", "e-20"]
    assert online.rows["weather_by_origin", "JFK"].event_id == "e-0"
    bus.clock.advance(timedelta(minutes=55))
    receive(1)  # five minutes ahead is the limit
    drain(loop)
    assert online.rows["weather_by_origin", "JFK"].event_id == "e-1"
    assert metric_value("ingest_not_online_total", dataset="weather") >= 1


def test_a_retry_of_the_sender_is_stored_once(bus, receive, start, rows_of):
    receive(0, 1, 1)
    loop = start()
    drain(loop)
    receive(1, 2)
    drain(loop)
    receive(0)
    drain(start())
    assert [row["event_id"] for row in rows_of("weather")] == ["e-0", "e-1", "e-2"]
    assert [body.rows for body in arrivals(bus).values()] == [2, 1]


def test_bad_rows_that_are_sent_again_are_quarantined_once(receive, start, rows_of):
    receive(0, temp="x")
    drain(start())
    receive(0, temp="x")
    drain(start())
    assert len(rows_of("quarantine/weather")) == 1


# In the order in which the loop comes to them.
STEPS = ["quarantined", "stored", "pushed", "returned", "published"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("second_batch", [3, 8, 20])
def test_a_crash_after_any_step_loses_nothing_and_doubles_nothing(
    bus, receive, start, rows_of, online, monkeypatch, step, second_batch
):
    receive(*range(4))
    drain(start())
    receive(*range(4, 8))
    receive(8, temp="bad")
    receive(*range(9, 12))
    loop = start()
    with monkeypatch.context() as patch:
        _crash_after(patch, step, loop)
        with pytest.raises(Crash):
            loop.step()
    again = start(max_batch=second_batch)
    receive(*range(12, 20))
    drain(again)
    good = [f"e-{i}" for i in range(20) if i != 8]
    assert [row["event_id"] for row in rows_of("weather")] == good
    assert [row["event_id"] for row in rows_of("quarantine/weather")] == ["e-8"]
    told = arrivals(bus).values()
    assert sum(body.rows for body in told) == len(good)
    versions = sorted(body.table_version for body in told)
    assert versions == list(range(1, len(versions) + 1))
    assert max(body.total_rows for body in told) == len(good)
    assert {event.body.rows for event in bus.events(DataQuarantined)} == {1}
    assert online.rows["weather_by_origin", "JFK"].event_id == "e-19"


def _crash_after(patch: pytest.MonkeyPatch, step: str, loop: SinkLoop) -> None:
    sink: Any = loop._sink
    owner, name = {
        "quarantined": (sink, "_quarantine"),
        "stored": (sink, "_store"),
        "pushed": (sink, "_push"),
        "returned": (sink, "write"),
        "published": (loop._session, "publish"),
    }[step]
    original = getattr(owner, name)

    def then_crash(*args: Any) -> Any:
        original(*args)
        raise Crash

    patch.setattr(owner, name, then_crash)


def test_a_store_that_is_away_is_waited_for_and_gets_every_row(
    bus, receive, start, rows_of, online
):
    receive(0, 1)
    loop = start()
    online.fails = [UnavailableError("away"), UnavailableError("away")]
    for _ in range(2):
        with pytest.raises(UnavailableError):
            loop.step()
        loop._session.rewind()
    drain(loop)
    assert len(rows_of("weather")) == 2
    assert online.rows["weather_by_origin", "JFK"].event_id == "e-1"
    assert [body.rows for body in arrivals(bus).values()] == [2]


def test_an_event_that_could_not_be_published_is_told_when_the_batch_comes_again(
    bus, receive, start, monkeypatch
):
    receive(0, 1)
    loop = start()

    def away(records: object) -> None:
        raise UnavailableError("the broker is away")

    with monkeypatch.context() as patch:
        patch.setattr(loop._session, "publish", away)
        with pytest.raises(UnavailableError):
            loop.step()
    assert arrivals(bus) == {}
    loop._session.rewind()
    drain(loop)
    assert [body.rows for body in arrivals(bus).values()] == [2]


def test_the_start_tells_of_the_newest_commit_again_with_the_same_id(bus, receive, start):
    receive(0)
    drain(start())
    start()
    events = bus.events(DataArrived)
    assert len(events) == 2
    assert events[0].id == events[1].id
    assert events[0].body == events[1].body


def test_a_lost_consumer_group_replays_the_topic_without_a_new_row(bus, receive, start, rows_of):
    receive(*range(30))
    drain(start(max_batch=7))
    bus.committed.clear()
    drain(start(max_batch=11, recent_ids=5))
    assert len(rows_of("weather")) == 30


def test_a_topic_that_was_wiped_while_the_lake_stayed_is_read(bus, receive, start, rows_of):
    receive(*range(5))
    drain(start())
    bus.logs.clear()
    bus.committed.clear()
    bus.clock.advance(timedelta(seconds=1))
    receive(5, 6)
    drain(start())
    receive(7, 7, 8)
    drain(start())
    assert [row["event_id"] for row in rows_of("weather")] == [f"e-{i}" for i in range(9)]


def test_a_lake_that_was_wiped_gives_other_event_ids(bus, receive, start, settings, tmp_path):
    receive(0)
    drain(start())
    (tmp_path / "lake").rename(tmp_path / "gone")
    bus.committed.clear()
    drain(start())
    assert len(arrivals(bus)) == 2


def test_a_second_writer_of_the_same_messages_commits_nothing(bus, receive, start, rows_of):
    receive(0)
    drain(start())
    receive(1, 2)
    slow, quick = start(), start()
    slow._session.open()
    batch = [Received(decode(message), message) for message in slow._session.poll(10, 0)]
    slow._sink._tables["weather"].open()  # pyright: ignore[reportAttributeAccessIssue]
    drain(_reopened(quick))
    with pytest.raises(UnavailableError, match="Concurrent"):
        slow._sink.write(batch)
    assert slow._sink.write(batch)  # it sees now what the other one did, and tells the same
    assert len(rows_of("weather")) == 3
    assert sum(body.rows for body in arrivals(bus).values()) == 3


def _reopened(loop: SinkLoop) -> SinkLoop:
    loop._session.open()
    return loop


def test_a_lake_that_cannot_be_written_is_an_outage(bus, receive, start, settings, tmp_path):
    (tmp_path / "lake").write_text("a file where the folder should be")
    loop = start()
    receive(0)
    with pytest.raises(UnavailableError, match="lake/weather"):
        loop.step()
    (tmp_path / "lake").unlink()
    loop._session.rewind()
    drain(loop)
    assert len(arrivals(bus)) == 1


def test_a_new_column_is_added_and_an_old_one_stays(receive, start, rows_of, settings):
    receive(0)
    drain(start())
    path = settings.models_dir / "some_model" / "datasets" / "weather.yaml"
    text = path.read_text().replace("gusts, type: integer", "visib, type: number")
    path.write_text(text)
    receive(1, visib=3)
    drain(start())
    assert [row["visib"] for row in rows_of("weather")] == [None, 3.0]
    assert [row["gusts"] for row in rows_of("weather")] == [None, None]


def test_a_column_that_changes_its_type_stops_the_service_with_a_remedy(receive, start, settings):
    receive(0)
    drain(start())
    path = settings.models_dir / "some_model" / "datasets" / "weather.yaml"
    path.write_text(
        path.read_text().replace("temp, type: number, min: -40, max: 130", "temp, type: string")
    )
    with pytest.raises(FatalBusError, match="column 'temp' is double in the table"):
        start()


def test_a_compacted_table_goes_on_and_remembers_its_ids(receive, start, rows_of, settings):
    for i in range(4):
        receive(i)
        drain(start())
    DeltaTable(f"{settings.lake_uri}/weather").optimize.compact()
    receive(2, 3, 4)
    drain(start())
    assert len(rows_of("weather")) == 5


def write_one_by_one(receive, loop: SinkLoop, count: int) -> None:
    for i in range(count):
        receive(i)
        drain(loop)


@pytest.mark.parametrize(("commits", "files"), [(3, 3), (4, 1), (7, 4), (8, 1)])
def test_small_files_are_made_one(receive, start, rows_of, settings, commits, files):
    write_one_by_one(receive, start(compact_files=4), commits)
    assert len(DeltaTable(f"{settings.lake_uri}/weather").file_uris()) == files
    assert [row["event_id"] for row in rows_of("weather")] == [f"e-{i}" for i in range(commits)]


@pytest.mark.parametrize("large", [True, False])
def test_a_file_that_is_large_enough_is_not_written_again(receive, start, settings, large):
    write_one_by_one(receive, start(), 1)
    (first,) = DeltaTable(f"{settings.lake_uri}/weather").file_uris()
    enough = 1 if large else 10 * Path(first).stat().st_size
    write_one_by_one(receive, start(compact_files=3, compact_bytes=enough), 4)
    left = DeltaTable(f"{settings.lake_uri}/weather").file_uris()
    assert (first in left, len(left)) == ((True, 4) if large else (False, 2))


def test_files_of_an_earlier_process_count_as_well(receive, start, settings):
    write_one_by_one(receive, start(), 3)
    write_one_by_one(receive, start(compact_files=4), 4)
    assert len(DeltaTable(f"{settings.lake_uri}/weather").file_uris()) == 1


def test_the_newest_ids_of_a_compacted_table_are_remembered(bus, receive, start, rows_of):
    loop = start(compact_files=4)
    for i in range(4):
        bus.clock.advance(timedelta(seconds=1))
        receive(i)
        drain(loop)
    receive(3)  # published again: a new message with an id that the table holds
    drain(start(recent_ids=1))
    assert len(rows_of("weather")) == 4


def test_a_table_that_cannot_be_compacted_takes_rows_all_the_same(
    bus, receive, start, settings, caplog
):
    loop = start(compact_files=3)
    write_one_by_one(receive, loop, 2)
    Path(DeltaTable(f"{settings.lake_uri}/weather").file_uris()[0]).unlink()
    receive(2, 3)
    drain(loop)
    receive(4)
    drain(loop)
    assert DeltaTable(f"{settings.lake_uri}/weather").count() == 5
    assert sum(body.rows for body in arrivals(bus).values()) == 5
    assert "not compacted" in caplog.text
