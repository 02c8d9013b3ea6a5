"""What a deployment adds to the contracts' topics: partitions, copies, options of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from event_schemas.topics import Kind, Topic

LEAVE = -1
"""Copies of a topic: as many as the brokers make when nobody says."""


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """How topics are laid out in one cluster.

    Attributes:
        partitions: Of the topics that carry volume; all others have one.
        replication: Copies of a topic; `LEAVE` leaves it to the brokers.
        options: Of every topic, by the broker's names, or of one as `topic/option`; they go before
            what the contracts ask for. The cleanup policy is part of a contract, and stays.
    """

    partitions: int = 1
    replication: int = LEAVE
    options: Mapping[str, str] = field(default_factory=dict)

    def count(self, topic: Topic) -> int:
        """How many partitions a topic is to have; that of a state has one a slot."""
        return self.partitions if topic.kind is Kind.VOLUME else 1

    def config(self, topic: Topic, copies: int | None = None) -> dict[str, str]:
        """The options of a topic.

        Args:
            topic: Which.
            copies: How many it has; default: as many as this layout makes.
        """
        copies = self.replication if copies is None else copies
        # What is acknowledged outlives one broker, and one broker may be away meanwhile.
        safe = {"min.insync.replicas": str(min(2, copies - 1))} if copies > 1 else {}
        # More precisely named ones come last, whatever their order.
        own = sorted(self.options.items(), key=lambda option: "/" in option[0])
        named = {
            name.rpartition("/")[2]: value
            for name, value in own
            if "/" not in name or name.startswith(f"{topic.name}/")
        }
        policy = {name: v for name, v in topic.config.items() if name == "cleanup.policy"}
        return {**safe, **topic.config, **named, **policy}
