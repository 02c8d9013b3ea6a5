"""From what was measured to what a load needs: arithmetic on plain numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

UTILISATION = 0.7
"""Share of a core that is planned with; the rest is for peaks, restarts and neighbours."""
COPIES = 3
SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Phase:
    """One kind of work, done by itself.

    Attributes:
        count: How much of it.
        seconds: From the first to the last of it.
        cpu_seconds: CPU time by part, of the parts on its way only.
        topics: Bytes that it wrote on one broker, by topic.
    """

    count: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    topics: Mapping[str, int] = field(default_factory=dict)

    def microseconds(self, part: str) -> float:
        """CPU time of a part for one of it."""
        return self.cpu_seconds[part] / self.count * 1e6

    def bytes_each(self, topic: str) -> float:
        """Bytes in a topic for one of it, on one broker."""
        return self.topics[topic] / self.count


@dataclass(frozen=True)
class Need:
    """What a part takes for a load.

    Attributes:
        cores: CPU seconds a second.
        replicas: Processes of one core each, none fuller than `UTILISATION`.
    """

    cores: float
    replicas: int


def need(phase: Phase, part: str, a_second: float) -> Need:
    """What a part takes for so many a second."""
    cores = phase.microseconds(part) * a_second / 1e6
    return Need(cores, max(1, math.ceil(cores / UTILISATION)))


def ceiling(phase: Phase, part: str) -> float:
    """How many a second one process of a part can take, with room to spare."""
    return UTILISATION * 1e6 / phase.microseconds(part)


def gigabytes(
    phase: Phase, topic: str, a_second: float, days: float, copies: int = COPIES
) -> float:
    """Disk of all brokers for a topic that keeps so many days."""
    return phase.bytes_each(topic) * a_second * SECONDS_A_DAY * days * copies / 1e9
