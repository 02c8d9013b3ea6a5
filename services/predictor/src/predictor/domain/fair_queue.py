"""Requests that wait for a batch, each model in a line of its own.

A batch is filled from the lines in turn, so a flood on one model takes nobody else's place.
"""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Lines of items, by model."""

    __slots__ = ("_lines", "_size")

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        """Whoever is first in it is first in the next batch."""
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, model: str, item: T) -> None:
        """Let an item wait at the end of its model's line."""
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = deque()
        line.append(item)
        self._size += 1

    def take(self, most: int) -> list[T]:
        """The next items, no more than so many; those of a model in their order.

        Each line gives as many as the others, until it is empty. Where there are more lines than
        places, those that went without are first the next time.
        """
        taken: list[T] = []
        lines = self._lines
        while lines and len(taken) < most:
            room = most - len(taken)
            each = max(1, room // len(lines))
            for model in list(lines)[:room]:
                line = lines.pop(model)
                if len(line) <= each:
                    taken += line
                else:
                    taken += [line.popleft() for _ in range(each)]
                    lines[model] = line
        self._size -= len(taken)
        return taken
