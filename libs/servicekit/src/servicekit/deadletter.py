"""Dead letters: messages that could not be handled, kept as they came, with the reason."""

from datetime import datetime

from servicekit.bus import Message, Record

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
        "dead_text": str(error)[:MAX_ERROR_CHARACTERS],
        "dead_at": now.isoformat(),
    }
    kept = tuple(header for header in message.headers if not header[0].startswith("dead_"))
    added = tuple((name, text.encode()) for name, text in reason.items())
    return Record(topic, message.key, message.value, kept + added)
