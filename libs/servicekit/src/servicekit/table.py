"""State as a fold over a topic: a table in memory whose changes go with the transaction."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from pydantic import TypeAdapter

V = TypeVar("V")

_ABSENT = object()


class Table(Generic[V]):
    """Keyed values, kept in memory and in a compacted topic.

    Values are to be frozen: a change is a `put`. The loop marks the table before each message and
    rolls it back when the handler fails, and drains the changes into the transaction.
    """

    def __init__(
        self, name: str, encode: Callable[[V], bytes], decode: Callable[[bytes], V]
    ) -> None:
        if "/" in name:
            raise ValueError(f"the name of a table has no slash: {name!r}")
        self.name = name
        self._encode = encode
        self._decode = decode
        self._rows: dict[str, V] = {}
        self._journal: list[tuple[str, object]] = []
        """Key and value before each change since the last drain."""

    @classmethod
    def of(cls, name: str, kind: type[V]) -> "Table[V]":
        """A table of values of one (Pydantic or dataclass) type, kept as JSON."""
        adapter = TypeAdapter(kind)
        return cls(name, adapter.dump_json, adapter.validate_json)

    def get(self, key: str) -> V | None:
        """The value of a key, or None."""
        return self._rows.get(key)

    def __getitem__(self, key: str) -> V:
        return self._rows[key]

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def items(self) -> Iterator[tuple[str, V]]:
        """All keys and values, as they are now; changing the table meanwhile is fine."""
        return iter(list(self._rows.items()))

    def scan(self) -> Iterator[tuple[str, V]]:
        """All keys and values without a copy; the table must not change meanwhile."""
        return iter(self._rows.items())

    def put(self, key: str, value: V) -> None:
        """Set the value of a key."""
        self._journal.append((key, self._rows.get(key, _ABSENT)))
        self._rows[key] = value

    def delete(self, key: str) -> None:
        """Remove a key, if it is there."""
        if key in self._rows:
            self._journal.append((key, self._rows.pop(key)))

    def mark(self) -> int:
        """A point to which `rollback` can return."""
        return len(self._journal)

    def rollback(self, mark: int = 0) -> None:
        """Undo every change since the mark; default: since the last drain."""
        while len(self._journal) > mark:
            key, before = self._journal.pop()
            if before is _ABSENT:
                self._rows.pop(key, None)
            else:
                self._rows[key] = before  # type: ignore[assignment]

    def changes(self) -> list[tuple[str, bytes | None]]:
        """What changed since the last drain, each key once; None deletes."""
        first: dict[str, object] = {}
        for key, before in self._journal:
            first.setdefault(key, before)
        return [
            (f"{self.name}/{key}", self._encode(self._rows[key]) if key in self._rows else None)
            for key, before in first.items()
            if self._rows.get(key, _ABSENT) is not before
        ]

    def settle(self) -> None:
        """Forget how to undo: the changes are committed."""
        self._journal.clear()

    def load(self, key: str, value: bytes | None) -> None:
        """Take a record of the state topic; the key is without the table's name."""
        if value is None:
            self._rows.pop(key, None)
        else:
            self._rows[key] = self._decode(value)

    def clear(self) -> None:
        """Forget everything, before a reload."""
        self._rows.clear()
        self._journal.clear()
