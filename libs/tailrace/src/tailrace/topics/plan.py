"""What has to change for the topics of a cluster to be as the contracts say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from event_schemas.topics import Kind, Topic
from servicekit.kafka.topic_layout import TopicLayout


class Action(StrEnum):
    """What is done with a topic."""

    CREATE = "create"
    GROW = "grow"
    CONFIGURE = "configure"
    REFUSE = "refuse"
    """It is not as it is to be, and to change it would lose or reorder events."""
    NOTE = "note"
    """It is not as it is to be, and somebody else has to change it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is.

    Attributes:
        partitions: How many.
        copies: Of each partition; the fewest, where they differ.
        config: All its options, with those that it has from its broker.
    """

    partitions: int
    copies: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """A step of a plan.

    Attributes:
        topic: Its name.
        action: What is to be done.
        text: What, and for a refusal why, for people.
        partitions: For `CREATE` and `GROW`: how many there are to be.
        copies: For `CREATE`: how many; -1 leaves it to the brokers.
        config: For `CREATE` and `CONFIGURE`: the options to set.
    """

    topic: str
    action: Action
    text: str
    partitions: int = 0
    copies: int = -1
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def does(self) -> bool:
        """Whether it changes anything, or only says what is wrong."""
        return self.action in (Action.CREATE, Action.GROW, Action.CONFIGURE)


def plan(
    topics: Iterable[Topic], found: Mapping[str, Found], layout: TopicLayout
) -> tuple[Change, ...]:
    """The steps that make the topics of a cluster what they are to be; empty when they are.

    Args:
        topics: As the contracts say.
        found: Those that exist, by name.
        layout: What the deployment adds.
    """
    steps: list[Change] = []
    for topic in topics:
        present = found.get(topic.name)
        if present is not None:
            steps += _existing(topic, present, layout)
        elif topic.kind is not Kind.STATE:  # its service makes it, with a partition a slot
            steps.append(_new(topic, layout))
    return tuple(steps)


def _new(topic: Topic, layout: TopicLayout) -> Change:
    count, config = layout.count(topic), layout.config(topic)
    copies = "" if layout.replication < 0 else f", {plural(layout.replication, 'copy', 'copies')}"
    text = f"{plural(count, 'partition')}{copies}, {_options(config)}"
    return Change(topic.name, Action.CREATE, text, count, layout.replication, config)


def _existing(topic: Topic, present: Found, layout: TopicLayout) -> list[Change]:
    steps = [] if topic.kind is Kind.STATE else _partitions(topic, present, layout.count(topic))
    if 0 < layout.replication != present.copies:
        steps.append(
            Change(
                topic.name,
                Action.NOTE,
                f"has {plural(present.copies, 'copy', 'copies')}, and is to have"
                f" {layout.replication}: moving partitions between brokers is the operator's"
                " (kafka-reassign-partitions, or Cruise Control)",
            )
        )
    wanted = layout.config(topic, present.copies)
    differing = {name: v for name, v in wanted.items() if present.config.get(name) != v}
    if differing:
        text = ", ".join(
            f"{name} {present.config.get(name, 'unset')} → {value}"
            for name, value in differing.items()
        )
        steps.append(Change(topic.name, Action.CONFIGURE, text, config=differing))
    return steps


def _partitions(topic: Topic, present: Found, count: int) -> list[Change]:
    if count == present.partitions:
        return []
    if count < present.partitions:
        if topic.kind is not Kind.VOLUME:
            reason = "its events keep one order, which several partitions do not have"
        else:
            reason = "a topic cannot shrink without losing what lies in the partitions"
        text = (
            f"has {present.partitions} partitions, and is to have {count}: {reason};"
            f" set KAFKA_PARTITIONS={present.partitions}, or have its readers finish, delete it and"
            " apply again"
        )
        return [Change(topic.name, Action.REFUSE, text)]
    if not topic.may_grow:
        text = (
            f"has {plural(present.partitions, 'partition')}, and is to have {count}: its readers"
            " keep state by partition, and a key that moves would part from its state; stop its"
            " writers, have its readers finish, then delete it and their state topics, and apply"
            " again"
        )
        return [Change(topic.name, Action.REFUSE, text)]
    text = (
        f"{present.partitions} → {count} partitions; from then on, a key may go to another one than"
        " before"
    )
    return [Change(topic.name, Action.GROW, text, count)]


def _options(config: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in config.items())


def plural(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"
