"""A dead letter as people see it: where it came from, why it died, and what it says."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.bus import Message

SUFFIX = ".dead"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that a service could not handle."""

    message: Message

    @property
    def id(self) -> str:
        """`service/partition/offset`, which names it on the command line."""
        service = self.message.topic.removesuffix(SUFFIX)
        return f"{service}/{self.message.partition}/{self.message.offset}"

    @property
    def origin(self) -> str:
        """Topic, partition and offset that it came from."""
        topic, partition, offset = map(self._header, ("topic", "partition", "offset"))
        return f"{topic}[{partition}]@{offset}"

    @property
    def at(self) -> str:
        """When it died, RFC 3339."""
        return self._header("at")

    @property
    def reason(self) -> str:
        """The kind of the error, and its text."""
        return f"{self._header('error')}: {self._header('text')}"

    @property
    def key(self) -> str:
        """The message's key as text."""
        return _text(self.message.key)

    def summary(self) -> dict[str, str]:
        """What a list shows of it."""
        return {
            "id": self.id,
            "at": self.at,
            "origin": self.origin,
            "key": self.key,
            "reason": self.reason,
        }

    def whole(self) -> dict[str, object]:
        """All of it: the original's headers, and its value as JSON if it is some, else as text."""
        headers = {
            name: _text(value)
            for name, value in self.message.headers
            if not name.startswith("dead_")
        }
        try:
            value = json.loads(self.message.value or b"")
        except ValueError:
            value = _text(self.message.value)
        return {**self.summary(), "headers": headers, "value": value}

    def _header(self, name: str) -> str:
        return _text(dict(self.message.headers).get(f"dead_{name}", b"?"))


def choose(letters: Sequence[DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    """The letters that are named, in the order of their names.

    Raises:
        KeyError: there is no such letter; the argument is its id.
    """
    known = {letter.id: letter for letter in letters}
    return [known[id_] for id_ in ids]


def _text(data: bytes | None) -> str:
    """Bytes as text; a byte that is no UTF-8 is shown as its hexadecimal number."""
    return (data or b"").decode("utf-8", "backslashreplace")
