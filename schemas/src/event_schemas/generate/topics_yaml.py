"""The chart's `topics.yaml`: what Strimzi's topic operator is told."""

from collections.abc import Iterable

from event_schemas.topics import Kind, Topic

_TOP = """\
# Generated from schemas/src/event_schemas/topics.py by `make generate`: change that, not this file.
#
# `volume: true`: grows with the traffic, and has kafka.partitions partitions; all others have one.
#
# The state topics (deployer.state, trainer.state, drift-monitor.state) are not here on purpose. A
# service makes its own, with one partition a slot, and refuses to start when the number of slots
# has changed; an operator that added the missing partitions would silence that refusal, and part
# the partitions from their state.
"""


def topics_yaml(topics: Iterable[Topic]) -> str:
    """The text, for these topics."""
    return _TOP + "".join(_topic(topic) for topic in topics if topic.kind is not Kind.STATE)


def _topic(topic: Topic) -> str:
    lines = [f"{topic.name}:"]
    if topic.kind is Kind.VOLUME:
        lines.append("  volume: true")
    options = ", ".join(f"{name}: {value}" for name, value in topic.config.items())
    lines.append(f"  config: {{{options}}}")
    return "\n".join(lines) + "\n"
