"""The chart's `topics.yaml` and `rights.yaml`, from which it makes resources of Strimzi."""

from event_schemas.rights import Right, rights_of, users
from event_schemas.topics import Kind, Topic, all_topics

_TOPICS = """\
# Generated from schemas/src/event_schemas/topics.py by `make generate`: change that, not this file.
#
# `volume: true`: grows with the traffic, and has kafka.partitions partitions; all others have one.
#
# The state topics (deployer.state, trainer.state, drift-monitor.state) are not here on purpose. A
# service makes its own, with one partition a slot, and refuses to start when the number of slots
# has changed; an operator that added the missing partitions would silence that refusal, and part
# the partitions from their state.
"""


_RIGHTS = """\
# Generated from schemas/src/event_schemas/rights.py by `make generate`: change that, not this file.
"""


def topics_yaml() -> str:
    """Return the text for every topic but those of states."""
    return _TOPICS + "".join(_topic(each) for each in all_topics() if each.kind is not Kind.STATE)


def rights_yaml() -> str:
    """Return the text for every user."""
    return _RIGHTS + "".join(
        f"{user}:\n" + "".join(map(_right, rights_of(user))) for user in users()
    )


def _topic(topic: Topic) -> str:
    lines = [f"{topic.name}:"]
    if topic.kind is Kind.VOLUME:
        lines.append("  volume: true")
    options = ", ".join(f"{name}: {value}" for name, value in topic.config.items())
    lines.append(f"  config: {{{options}}}")
    return "\n".join(lines) + "\n"


def _right(right: Right) -> str:
    name = right.name or '"*"'
    pattern = "prefix" if right.prefix and right.name else "literal"
    resource = f"{{type: {right.type}, name: {name}, patternType: {pattern}}}"
    return f"  - resource: {resource}\n    operations: [{', '.join(right.operations)}]\n"
