"""Every topic, and how it is kept: the one place that says so.

A deployment adds what it alone can know: how many partitions the traffic needs, how many copies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from event_schemas import BY_TYPE
from event_schemas.base import EventBody
from event_schemas.catalog import LOOPS, STATES

DEAD = ".dead"
STATE = ".state"


class Kind(StrEnum):
    """What lies in a topic, and so how long it is kept."""

    VOLUME = "volume"
    """Grows with the traffic. Its readers have taken what they need within minutes; a week is for
    one that is down over a holiday."""
    DECISIONS = "decisions"
    """A few events a day, and the only record of what was decided and why."""
    NEWEST = "newest"
    """The newest event of each key is all that counts, and it is kept for ever."""
    STATE = "state"
    """Tables of a service: one partition a slot, made by the service itself."""
    DEAD = "dead"
    """What a service could not handle: kept until somebody has had the time to look."""


RETENTION: Mapping[Kind, timedelta] = {
    Kind.VOLUME: timedelta(days=7),
    Kind.DECISIONS: timedelta(days=365),
    Kind.DEAD: timedelta(days=30),
}
"""How long messages are kept; the other kinds are compacted, and keep the newest of each key."""

_COMPACTED = {
    "cleanup.policy": "compact",
    # Only a closed segment is compacted: by default after a gigabyte or a week, and a service that
    # starts reads all of it.
    "segment.bytes": str(64 * 1024 * 1024),
    "segment.ms": str(24 * 3600 * 1000),
}


@dataclass(frozen=True, slots=True)
class Topic:
    """How a topic is to be in every cluster.

    Attributes:
        name: Of the topic.
        kind: What lies in it.
        may_grow: Whether partitions may be added to it: a key then goes to another partition.
        config: Its options, by the broker's names.
    """

    name: str
    kind: Kind
    may_grow: bool = False
    config: Mapping[str, str] = field(default_factory=dict)


def topic_of(event: type[EventBody]) -> Topic:
    """Return the topic of an event."""
    if event.compacted:
        return Topic(event.topic(), Kind.NEWEST, config=_COMPACTED)
    kind = Kind.VOLUME if event.volume else Kind.DECISIONS
    return Topic(
        event.topic(), kind, may_grow=event.volume and not event.joined, config=_deleted(kind)
    )


def dead_letters_of(service: str) -> Topic:
    """Return the topic in which a service puts what it cannot handle."""
    # The largest message there may be, plus the headers that explain why it is here.
    config = _deleted(Kind.DEAD) | {"max.message.bytes": str(2 * 1024 * 1024)}
    return Topic(service + DEAD, Kind.DEAD, may_grow=True, config=config)


def state_of(service: str) -> Topic:
    """Return the topic in which a service keeps its tables."""
    return Topic(service + STATE, Kind.STATE, config=_COMPACTED)


def topic_named(name: str) -> Topic:
    """Return a topic by its name; one that no contract names is kept as decisions are."""
    if (event := BY_TYPE.get(name)) is not None:
        return topic_of(event)
    if name.endswith(DEAD):
        return dead_letters_of(name.removesuffix(DEAD))
    if name.endswith(STATE):
        return state_of(name.removesuffix(STATE))
    return Topic(name, Kind.DECISIONS, config=_deleted(Kind.DECISIONS))


def all_topics() -> tuple[Topic, ...]:
    """Return every topic: events in the order of the loop, then dead letters, then state."""
    return (
        *map(topic_of, BY_TYPE.values()),
        *map(dead_letters_of, LOOPS),
        *map(state_of, STATES),
    )


def _deleted(kind: Kind) -> dict[str, str]:
    milliseconds = RETENTION[kind] // timedelta(milliseconds=1)
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds)}
