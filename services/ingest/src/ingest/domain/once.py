"""What a table holds already: so that a record that comes again is not in it twice.

Two things are remembered. *Positions*: the last offset of each partition that a commit of the table
took in; a redelivered message lies at or before it. *Ids*: the event ids of the newest rows; a
sender's retry is a new message with an old id.

A topic that was wiped while the table stayed starts again at offset 0, below the position. Its
messages were made after the commit that claims to hold them, which no redelivered message was: that
tells the two apart.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ingest.domain.row import Row


@dataclass(frozen=True, slots=True)
class Held:
    """How far a table has taken in a partition."""

    offset: int
    """Last offset that is in the table."""
    at_ms: int
    """Wall time of that commit, in milliseconds since 1970."""


class RecentIds:
    """The newest event ids of a table, at most `limit` of them."""

    def __init__(self, limit: int, ids: Iterable[str] = ()) -> None:
        self._limit = limit
        self._order: deque[str] = deque()
        self._ids: set[str] = set()
        self.add(ids)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ids

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Iterable[str]) -> None:
        """Remember ids, oldest first, and forget the oldest beyond the limit."""
        for event_id in ids:
            if event_id not in self._ids:
                self._ids.add(event_id)
                self._order.append(event_id)
        while len(self._order) > self._limit:
            self._ids.discard(self._order.popleft())


class Once:
    """Tells new rows of one table from those that it holds.

    Args:
        position: how far the table has taken in a partition; asked once for each.
        recent: ids of its newest rows.
        by_position: whether a row at or before the position counts as held. Without it the ids
            alone decide.
    """

    def __init__(
        self, position: Callable[[int], Held | None], recent: RecentIds, *, by_position: bool = True
    ) -> None:
        self._position = position
        self._recent = recent
        self._by_position = by_position
        self._held: dict[int, Held | None] = {}

    def split(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """The rows that are new, each id once, and those that the table holds."""
        new: list[Row] = []
        held: list[Row] = []
        seen: set[str] = set()
        for row in rows:
            known = row.event_id in seen or row.event_id in self._recent
            if known or (self._by_position and self._before_position(row)):
                held.append(row)
            else:
                seen.add(row.event_id)
                new.append(row)
        return new, held

    def took(self, rows: Sequence[Row], positions: dict[int, Held]) -> None:
        """Remember the rows of a commit that succeeded."""
        self._recent.add(row.event_id for row in rows)
        self._held.update(positions)

    def known(self, partitions: Iterable[int]) -> dict[int, Held | None]:
        """How far the table had taken in these partitions when their rows were split."""
        return (
            {p: self._held[p] for p in partitions if p in self._held} if self._by_position else {}
        )

    def _before_position(self, row: Row) -> bool:
        origin = row.origin
        if origin.partition not in self._held:
            self._held[origin.partition] = self._position(origin.partition)
        held = self._held[origin.partition]
        return held is not None and origin.offset <= held.offset and origin.made_ms <= held.at_ms


def last_positions(rows: Sequence[Row], at_ms: int) -> dict[int, Held]:
    """The last offset of each partition among the rows, committed at `at_ms`."""
    last: dict[int, int] = {}
    for row in rows:
        origin = row.origin
        last[origin.partition] = max(origin.offset, last.get(origin.partition, -1))
    return {partition: Held(offset, at_ms) for partition, offset in last.items()}
