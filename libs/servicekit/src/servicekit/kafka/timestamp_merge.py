"""Puts messages of several partitions into the order in which they were written."""

from collections import deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from servicekit.bus import Message

Partition = tuple[str, int]
"""A topic and one of its partitions."""


class TimestampMerge:
    """Holds messages back until it is known that no partition has an older one.

    Whoever joins topics and is behind would otherwise read one of them far ahead of another: a
    week of predictions, and only then the labels of its first day.

    The order is that of the messages' timestamps, as far as partitions keep to it themselves: each
    is handed out in its own order, whatever clock its writers have.

    Args:
        partitions: All that are read; of equally old messages that of the first comes first.
        at_end: Whether a partition has nothing more than was added; asked when it matters.
        patience: Seconds that the others wait for a partition that gives nothing and is not at its
            end, as when its broker is away. Then they go on without it, until it gives something.
    """

    def __init__(
        self,
        partitions: Iterable[Partition],
        at_end: Callable[[Partition], bool],
        patience: float,
    ) -> None:
        self._rank = {partition: rank for rank, partition in enumerate(partitions)}
        self._held: dict[Partition, deque[Message]] = {
            partition: deque() for partition in self._rank
        }
        self._heads: list[tuple[int, int, Partition]] = []
        self._awaited = set(self._rank)
        """Partitions that hold nothing here and may have more."""
        self._at_end = at_end
        self._patience = patience
        self._since: float | None = None
        """Since when messages wait for a partition."""

    def add(self, message: Message) -> int:
        """Hold a message, the next of its partition; return how many are held of it."""
        partition = message.topic, message.partition
        held = self._held[partition]
        if not held:
            self._awaited.discard(partition)
            if not self._awaited:
                self._since = None
            heappush(self._heads, (message.timestamp_ms, self._rank[partition], partition))
        held.append(message)
        return len(held)

    def take(self, count: int, now: float) -> list[Message]:
        """The oldest messages, at most `count`; none while an older one may come.

        Args:
            count: How many at most.
            now: Seconds on a clock that never goes back.
        """
        taken: list[Message] = []
        while self._heads and len(taken) < count:
            if self._awaited and self._waits(now):
                break
            _, rank, partition = heappop(self._heads)
            held = self._held[partition]
            taken.append(held.popleft())
            if held:
                heappush(self._heads, (held[0].timestamp_ms, rank, partition))
            else:
                self._awaited.add(partition)
        return taken

    def held(self, partition: Partition) -> int:
        """Return how many messages of a partition are held."""
        return len(self._held[partition])

    def drop(self, partition: Partition) -> None:
        """Drop what is held of a partition, which will be added again."""
        self._held[partition].clear()
        self._heads = sorted(head for head in self._heads if head[2] != partition)
        self._awaited.add(partition)

    def _waits(self, now: float) -> bool:
        self._awaited = {partition for partition in self._awaited if not self._at_end(partition)}
        if not self._awaited:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        if now - self._since < self._patience:
            return True
        self._awaited.clear()
        self._since = None
        return False
