"""Where to go on reading, as a person says it: from the earliest, the latest, or a moment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter, ValidationError

FORMS = (
    "earliest, latest, a moment with its zone such as 2026-11-25T06:00:00Z, or how long ago, such"
    " as PT6H"
)

_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


@dataclass(frozen=True, slots=True)
class Start:
    """A place in a topic that does not depend on offsets."""

    at: Literal["earliest", "latest"] | datetime
    """A moment stands for the first message that the brokers took then or later."""

    @classmethod
    def parse(cls, text: str, now: datetime) -> "Start":
        """What a person wrote.

        Args:
            text: see `FORMS`.
            now: what a duration is counted back from.

        Raises:
            ValueError: it is none of the forms.
        """
        if text == "earliest" or text == "latest":
            return cls(text)
        try:
            ago = text.startswith("P")
            moment = now - _DURATION.validate_python(text) if ago else datetime.fromisoformat(text)
        except (ValueError, OverflowError, ValidationError):
            raise ValueError(f"{text!r} is no place to read from: say {FORMS}") from None
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} has no zone: say {text}Z if it is UTC")
        return cls(moment)

    @property
    def milliseconds(self) -> int:
        """The moment, since 1970; only of one."""
        assert isinstance(self.at, datetime)  # noqa: S101 - the caller looked
        return int(self.at.timestamp() * 1000)
