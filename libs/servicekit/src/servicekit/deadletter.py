"""Dead letters: messages that could not be handled, kept as they came, with the reason.

What was wrong can be mended, and the letter sent again to where it came from.
"""

from datetime import datetime

from event_schemas.catalog import ROUTES
from event_schemas.topics import DEAD
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

    The event keeps its id, so effects that it had already are not repeated. A letter's headers are
    what its writer says: it goes to no topic but one that the service of the letter reads.

    Raises:
        ValueError: the message is no dead letter of that service.
    """
    where = f"{message.topic}[{message.partition}]@{message.offset}"
    topic = dict(message.headers).get("dead_topic", b"").decode("utf-8", "replace")
    if not topic:
        raise ValueError(
            f"{where} has no header dead_topic:"
            " it is no dead letter, so nobody knows where it came from"
        )
    service = message.topic.removesuffix(DEAD)
    read = sorted(event for event, route in ROUTES.items() if service in route.receivers)
    if topic not in read:
        raise ValueError(
            f"{where} says that it came from {topic[:80]!r}, which {service} does not read"
            f" (it reads {', '.join(read) or 'nothing'}): who wrote it is no service; publish the"
            " event itself, if it is right"
        )
    return Record(topic, message.key, message.value, _without_reason(message))


def _without_reason(message: Message) -> Headers:
    return tuple(header for header in message.headers if not header[0].startswith("dead_"))
