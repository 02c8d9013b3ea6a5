from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.once import Held, Once, RecentIds, last_positions
from ingest.domain.row import Origin, Row

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def row(event_id: str, offset: int, made_ms: int = 0, partition: int = 0) -> Row:
    return Row(event_id, "e", NOW, {}, Origin(partition, offset, made_ms))


def test_the_ids_beyond_the_limit_are_forgotten_oldest_first():
    recent = RecentIds(2, ["a", "b"])
    assert "a" in recent
    recent.add(["c"])
    assert ["a" in recent, "b" in recent, "c" in recent] == [False, True, True]
    recent.add(["b", "b"])
    assert len(recent) == 2


def test_a_message_at_or_before_the_position_is_held():
    once = Once({0: Held(5, 100)}.get, RecentIds(10))
    new, held = once.split([row("a", 4), row("b", 5), row("c", 6)])
    assert [r.event_id for r in new] == ["c"]
    assert [r.event_id for r in held] == ["a", "b"]


def test_another_partition_has_its_own_position():
    once = Once({0: Held(5, 100)}.get, RecentIds(10))
    assert len(once.split([row("a", 4, partition=1)])[0]) == 1


def test_an_old_offset_of_a_message_younger_than_the_commit_is_a_new_topic():
    once = Once({0: Held(5, 100)}.get, RecentIds(10, ["old"]))
    new, held = once.split([row("a", 0, 101), row("old", 1, 101), row("b", 2, 100)])
    assert [r.event_id for r in new] == ["a"]
    assert [r.event_id for r in held] == ["old", "b"]
    once.took(new, last_positions(new, 200))
    assert len(once.split([row("c", 1, 150)])[0]) == 1


def test_without_positions_the_ids_alone_decide():
    once = Once({0: Held(5, 100)}.get, RecentIds(10, ["a"]), by_position=False)
    assert [r.event_id for r in once.split([row("a", 9), row("b", 1)])[0]] == ["b"]


def test_nothing_is_remembered_before_the_commit_succeeded():
    once = Once(lambda partition: None, RecentIds(10))
    rows = [row("a", 0), row("a", 1)]
    assert len(once.split(rows)[0]) == 1
    assert len(once.split(rows)[0]) == 1
    once.took(rows[:1], last_positions(rows, 0))
    assert once.split(rows)[0] == []


@given(
    ids=st.lists(st.integers(0, 20), max_size=60),
    cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8),
)
def test_however_batches_overlap_each_id_is_taken_once_and_in_order(ids, cuts):
    log = [row(str(number), offset) for offset, number in enumerate(ids)]
    once = Once(lambda partition: None, RecentIds(1000))
    taken: list[Row] = []
    reached = 0
    for start, length in [*cuts, (0, 0)]:
        # A consumer may start earlier than where it was, but never later.
        start = min(start, reached)
        end = max(start, min(start + length, len(log)))
        new, _ = once.split(log[start:end])
        once.took(new, last_positions(new, 0))
        taken += new
        reached = max(reached, end)
    assert [r.event_id for r in taken] == list(dict.fromkeys(map(str, ids[:reached])))
