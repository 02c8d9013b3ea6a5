"""What requests that came together can share: one read of the store, one run a version."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from predictor.domain.features import Ref, Signature, Value

J = TypeVar("J")
K = TypeVar("K")


@dataclass(slots=True, eq=False)
class Lookup:
    """One read of the store: the wanted fields of the rows that a join key's values find."""

    refs: dict[Ref, None] = field(default_factory=dict)
    values: dict[Value, None] = field(default_factory=dict)


def lookups(rows: Iterable[tuple[Signature, Sequence[Value]]]) -> dict[str, Lookup]:
    """What to read for some rows, by join key, each field and each value once.

    A row whose join key is missing finds nothing, and reads nothing.
    """
    wanted: dict[str, Lookup] = {}
    for signature, row in rows:
        for join_key, refs in signature.lookups.items():
            value = signature.key(row, join_key)
            if value is None:
                continue
            lookup = wanted.get(join_key)
            if lookup is None:
                lookup = wanted[join_key] = Lookup()
            lookup.refs.update(dict.fromkeys(refs))
            lookup.values[value] = None
    return wanted


def grouped(items: Iterable[tuple[K, J]]) -> dict[K, list[J]]:
    """Items by key, in their order."""
    groups: dict[K, list[J]] = {}
    for key, item in items:
        groups.setdefault(key, []).append(item)
    return groups
