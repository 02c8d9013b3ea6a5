"""Dead letters: messages that could not be handled, kept as they came, with the reason.

What was wrong can be mended, and the letter sent again to where it came from.
"""

from datetime import datetime

from servicekit.bus import Headers, Message, Record
from servicekit.redaction import redacted

MAX_ERROR_CHARACTERS = 2000


def dead_letter(topic: str, message: Message, error: BaseException, now: datetime) -> Record:
    """The record that keeps a message which could not be handled.

    Key, value and headers are the original's; headers `dead_*` say where it came from and why.
    """
    reason = {
        "dead_topic": message.topic,
        "dead_partition": str(message.partition),
        "dead_offset": str(message.offset),
        "dead_timestamp_ms": str(message.timestamp_ms),
        "dead_error": type(error).__name__,
        "dead_text": redacted(error)[:MAX_ERROR_CHARACTERS],
        "dead_at": now.isoformat(),
    }
    added = tuple((name, text.encode("utf-8", "replace")) for name, text in reason.items())
    return Record(topic, message.key, message.value, _without_reason(message) + added)


def resend(message: Message) -> Record:
    """The record that sends a dead letter again: the original, to its own topic.

    The event keeps its id, so effects that it had already are not repeated.

    Raises:
        ValueError: the message is no dead letter.
    """
    topic = dict(message.headers).get("dead_topic")
    if not topic:
        raise ValueError(
            f"{message.topic}[{message.partition}]@{message.offset} has no header dead_topic:"
            " it is no dead letter, so nobody knows where it came from"
        )
    return Record(topic.decode(), message.key, message.value, _without_reason(message))


def _without_reason(message: Message) -> Headers:
    return tuple(header for header in message.headers if not header[0].startswith("dead_"))
