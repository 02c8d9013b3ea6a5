"""Messages of several partitions come in the order in which they were written."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from servicekit.bus import Message
from servicekit.kafka.timestamp_merge import Partition, TimestampMerge

A, B, C = PARTITIONS = [("a", 0), ("a", 1), ("b", 0)]
PATIENCE = 5.0


def message(partition: Partition, offset: int, at: int) -> Message:
    return Message(*partition, offset, b"k", b"v", (), at)


def written(partition: Partition, *at: int) -> list[Message]:
    return [message(partition, offset, when) for offset, when in enumerate(at)]


def add(merge: TimestampMerge, messages: Sequence[Message]) -> None:
    for each in messages:
        merge.add(each)


def times(messages: Sequence[Message]) -> list[int]:
    return [each.timestamp_ms for each in messages]


def nowhere(_: Partition) -> bool:
    return False


def everywhere(_: Partition) -> bool:
    return True


LOGS = st.lists(st.lists(st.integers(0, 50), max_size=20).map(sorted), min_size=3, max_size=3)


@given(LOGS, st.randoms(use_true_random=False))
def test_in_whichever_order_partitions_are_fetched_all_is_handed_out_by_time(
    logs: list[list[int]], dice
) -> None:
    topics = {
        partition: written(partition, *log) for partition, log in zip(PARTITIONS, logs, strict=True)
    }
    fetched = dict.fromkeys(PARTITIONS, 0)
    merge = TimestampMerge(
        PARTITIONS, lambda partition: fetched[partition] == len(topics[partition]), PATIENCE
    )
    taken: list[Message] = []
    while any(fetched[partition] < len(topics[partition]) for partition in PARTITIONS):
        partition = dice.choice(PARTITIONS)
        some = topics[partition][fetched[partition] : fetched[partition] + dice.randint(1, 5)]
        fetched[partition] += len(some)
        add(merge, some)
        taken += merge.take(dice.randint(1, 5), 0.0)
    taken += merge.take(100, 0.0)
    assert times(taken) == sorted(time for log in logs for time in log)
    for partition in PARTITIONS:
        assert [m for m in taken if (m.topic, m.partition) == partition] == topics[partition]


def test_of_equally_old_messages_that_of_the_first_topic_comes_first() -> None:
    merge = TimestampMerge(PARTITIONS, everywhere, PATIENCE)
    for partition in reversed(PARTITIONS):
        add(merge, written(partition, 7, 7))
    taken = [(m.topic, m.partition) for m in merge.take(9, 0.0)]
    assert taken == [A, A, B, B, C, C]


def test_nothing_is_handed_out_while_a_partition_may_have_something_older() -> None:
    ended: set[Partition] = {B}
    merge = TimestampMerge(PARTITIONS, ended.__contains__, PATIENCE)
    add(merge, written(A, 1, 3))
    assert merge.take(9, 0.0) == []
    merge.add(message(C, 0, 2))
    assert times(merge.take(9, 1.0)) == [1, 2]
    assert merge.take(9, 1.0) == []
    ended.add(C)
    assert times(merge.take(9, 1.0)) == [3]


def test_a_partition_that_gives_nothing_is_waited_for_so_long_and_no_longer() -> None:
    merge = TimestampMerge([A, C], nowhere, PATIENCE)
    add(merge, written(A, *range(10)))
    assert merge.take(1, 100.0) == []
    assert merge.take(1, 100.0 + PATIENCE - 0.01) == []
    assert times(merge.take(3, 100.0 + PATIENCE)) == [0, 1, 2]
    assert times(merge.take(3, 100.0 + PATIENCE)) == [3, 4, 5], "it is waited for once"
    merge.add(message(C, 0, 2))
    assert times(merge.take(1, 200.0)) == [2], "it takes part again when it gives something"
    assert merge.take(1, 200.0) == []


def test_a_wait_begins_anew_when_the_partition_has_given_something() -> None:
    merge = TimestampMerge([A, C], nowhere, PATIENCE)
    add(merge, written(A, *range(10)))
    assert merge.take(1, 0.0) == []
    merge.add(message(C, 0, 0))
    assert times(merge.take(2, 4.0)) == [0, 0]
    assert merge.take(1, 6.0) == []
    assert times(merge.take(1, 6.0 + PATIENCE)) == [1]


def test_a_partition_that_is_read_again_is_forgotten_and_waited_for() -> None:
    merge = TimestampMerge([A, C], nowhere, PATIENCE)
    log = written(A, 1, 3, 5)
    add(merge, log)
    add(merge, written(C, 2, 4))
    assert times(merge.take(2, 0.0)) == [1, 2]
    merge.drop(A)
    assert merge.held(A) == 0
    assert merge.held(C) == 1
    assert merge.take(9, 0.0) == []
    add(merge, log)
    assert times(merge.take(9, 0.0)) == [1, 3, 4]


def test_it_tells_how_many_it_holds() -> None:
    merge = TimestampMerge([A, C], nowhere, PATIENCE)
    assert [merge.add(each) for each in written(A, 1, 2, 3)] == [1, 2, 3]
