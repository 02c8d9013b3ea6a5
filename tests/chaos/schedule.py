"""Which faults strike when: a pure function of the seed and of what the run offers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of fault."""

    KILL = "kill"
    PAUSE = "pause"
    ZOMBIE = "zombie"
    BROKER_KILL = "broker-kill"
    BROKERS_KILL = "brokers-kill"
    BROKER_PAUSE = "broker-pause"
    SLOW = "slow"
    CUT = "cut"
    BLACK_HOLE = "black-hole"
    DISK_FULL = "disk-full"
    SCALE = "scale"
    SKEW = "skew"


SERVICES = ("ingest", "trainer", "deployer", "predictor", "drift-windows", "drift-watch")

LENGTHS = {
    Kind.KILL: (0.2, 1.5),
    Kind.PAUSE: (1.0, 8.0),
    Kind.ZOMBIE: (3.0, 8.0),
    Kind.BROKER_KILL: (0.5, 6.0),
    Kind.BROKERS_KILL: (0.5, 3.0),
    Kind.BROKER_PAUSE: (1.0, 8.0),
    Kind.SLOW: (2.0, 8.0),
    Kind.CUT: (0.5, 5.0),
    Kind.BLACK_HOLE: (1.0, 6.0),
    Kind.DISK_FULL: (1.0, 5.0),
    Kind.SCALE: (4.0, 12.0),
    Kind.SKEW: (0.2, 0.5),
}
"""Shortest and longest time, in seconds, from the fault to its end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        at: Seconds from the start of the load.
        kind: What happens.
        target: To whom.
        seconds: How long it lasts.
        amount: Delay in seconds of a slow link, offset in seconds of a skewed clock.
    """

    at: float
    kind: Kind
    target: str
    seconds: float
    amount: float = 0.0

    def __str__(self) -> str:
        amount = f" {self.amount:+g} s" if self.amount else ""
        return f"{self.at:.1f} s {self.kind} {self.target}{amount} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be struck here.

    Attributes:
        brokers: Names of the brokers that survive a kill with what they acknowledged.
        disks: Names of the folders that can be filled.
        links: Names of what is reached through a proxy.
        kinds: The kinds that are wanted.
    """

    brokers: tuple[str, ...]
    disks: tuple[str, ...]
    links: tuple[str, ...]
    kinds: frozenset[Kind]


def plan(seed: int, offer: Offer, *, faults: int, seconds: float) -> list[Fault]:
    """The faults of a run, by time: the same for the same arguments.

    Kinds come before targets, so that a rare kind is as likely as a common one.
    """
    dice = random.Random(f"faults {seed}")
    targets = {kind: names for kind in sorted(offer.kinds) if (names := _targets(kind, offer))}
    if not targets:
        return []
    drawn = []
    for _ in range(faults):
        kind = dice.choice(list(targets))
        target = dice.choice(targets[kind])
        at, length = dice.uniform(0, seconds), dice.uniform(*LENGTHS[kind])
        amount = 0.0
        if kind is Kind.SLOW:
            amount = dice.choice((0.05, 0.2, 0.5))
        if kind is Kind.SKEW:
            amount = dice.choice((-300.0, -60.0, 60.0, 240.0))
        drawn.append(Fault(round(at, 2), kind, target, round(length, 2), amount))
    return sorted(drawn, key=lambda fault: (fault.at, fault.target))


def one_by_one(brokers: Sequence[str], *, every: float, away: float) -> list[Fault]:
    """Each broker is killed in turn, with time between for all to be in sync again.

    Args:
        brokers: Their names.
        every: Seconds from a kill to the next.
        away: Seconds that each stays away, long enough for the others to take its partitions over.
    """
    return [
        Fault(2.0 + every * number, Kind.BROKER_KILL, name, away)
        for number, name in enumerate(brokers)
    ]


def _targets(kind: Kind, offer: Offer) -> tuple[str, ...]:
    match kind:
        case Kind.KILL | Kind.PAUSE:
            return SERVICES
        case Kind.SKEW:
            return ("ingest", "predictor", "trainer", "drift-windows", "deployer")
        case Kind.ZOMBIE:
            return ("deployer", "drift-windows")
        case Kind.BROKER_KILL:
            return offer.brokers if len(offer.brokers) > 1 else ()
        case Kind.BROKERS_KILL:
            return ("all",) if offer.brokers else ()
        case Kind.BROKER_PAUSE:
            return offer.brokers
        case Kind.SLOW | Kind.CUT | Kind.BLACK_HOLE:
            return offer.links
        case Kind.DISK_FULL:
            return offer.disks
        case Kind.SCALE:
            return ("predictor", "drift-watch")
