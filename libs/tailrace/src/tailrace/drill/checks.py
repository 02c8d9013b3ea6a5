"""What must be so after a restore, decided on counts alone."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from event_schemas import BY_TYPE
from tailrace.drill.inventory import Inventory

REPEATABLE = (
    "retrain.requested",
    "retrain.decided",
    "model.trained",
    "model.approved",
    "model.rejected",
    "training.failed",
    "rollout.step",
)
"""Work that is dear: after a restore none of it may be done a second time."""

SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One promise, and whether it was kept.

    Attributes:
        promise: What must be so.
        kept: Whether it is.
        seen: What was seen instead, or how much was looked at.
    """

    promise: str
    kept: bool
    seen: str


@dataclass(frozen=True)
class Answer:
    """What the predictor said to the same question, before and after."""

    rollout: str
    version: str
    score: float
    features: Mapping[str, object]


@dataclass(frozen=True)
class Counted:
    """Both sides of the count at the end: what was sent since the beginning, and what came of it.

    Attributes:
        asked: Predictions that were asked for.
        logged: Events of these predictions, repeated ones included.
        distinct: Distinct predictions among them.
        failed: Predictions without a score.
        versions: Versions that have answered since the restore.
        labels_sent: Labels of the days that are over.
        labels_joined: Those that the drift-monitor joined.
        records_sent: Rows handed to ingest, by dataset.
        records_stored: Rows that ingest put into the lake or into quarantine, by dataset.
        dead: Dead letters.
        runs: Model versions in the registry before the loss and at the end.
    """

    asked: int
    logged: int
    distinct: int
    failed: int
    versions: frozenset[str]
    labels_sent: int
    labels_joined: int
    records_sent: Mapping[str, int]
    records_stored: Mapping[str, int]
    dead: tuple[str, ...]
    runs: tuple[int, int]


def same_answer(before: Answer, after: Answer) -> list[Check]:
    """The same question, asked before the loss and after the restore."""
    champion = Check(
        "the champion is the same",
        (before.rollout, before.version) == (after.rollout, after.version),
        f"version {before.version} of rollout {before.rollout} before,"
        f" version {after.version} of {after.rollout} after",
    )
    changed = sorted(
        name
        for name in before.features.keys() | after.features.keys()
        if before.features.get(name) != after.features.get(name)
    )
    answer = Check(
        "the same question has the same answer, from the same stored features",
        before.score == after.score and not changed,
        f"score {before.score:.6f} before, {after.score:.6f} after"
        + (f"; other values of {', '.join(changed)}" if changed else ""),
    )
    return [champion, answer]


def offsets_go_on(before: Inventory, restored: Inventory) -> list[Check]:
    """Compare the broker as it was with the broker as it came back, before any traffic."""
    behind = [
        f"{topic}[{number}] ends at {restored.ends.get((topic, number))}, was at {end}"
        for (topic, number), end in before.ends.items()
        if restored.ends.get((topic, number), -1) < end
    ]
    back = [
        f"{group} stands at {restored.committed.get((group, topic, number))} of {topic}[{number}],"
        f" was at {offset}"
        for (group, topic, number), offset in before.committed.items()
        if restored.committed.get((group, topic, number), -1) < offset
    ]
    return [
        Check(
            "every partition goes on where it ended",
            not behind and bool(before.ends),
            _some(behind) or f"{len(before.ends)} partitions",
        ),
        Check(
            "every group goes on where it had read to",
            not back and bool(before.committed),
            _some(back) or f"{len(before.committed)} positions",
        ),
    ]


def nothing_twice(
    before: Inventory, after: Inventory, on_purpose: Mapping[str, int]
) -> list[Check]:
    """Compare the events as they were with those at the end, after more traffic.

    Args:
        before: As it was before the loss.
        after: As it is at the end.
        on_purpose: How many events of a topic may be there twice, with the same id: what a client
            sent again, and what a service says at every start.
    """
    ids = Counter((topic, i) for (topic, _), each in after.events.items() for i in each)
    repeats = Counter(topic for (topic, _), count in ids.items() if count > 1)
    twice = [
        f"{count} of {topic}"
        for topic, count in repeats.items()
        if count > on_purpose.get(topic, 0)
    ]
    again = ", ".join(f"{count} of {topic}" for topic, count in repeats.items())
    lost = [
        f"{topic}[{number}]"
        for (topic, number), old in before.events.items()
        if not _goes_on(topic, old, after.events.get((topic, number), ()))
    ]
    repeated = [
        f"{after.count(topic)} {topic}, were {before.count(topic)}"
        for topic in REPEATABLE
        if after.count(topic) != before.count(topic)
    ]
    return [
        Check(
            "no event is there twice, but those that are said again on purpose",
            not twice,
            _some(twice) or f"{len(ids)} events; again: {again or 'none'}",
        ),
        Check(
            "all that was said before is still there, in its order",
            not lost,
            _some(lost) or f"{sum(map(len, before.events.values()))} events",
        ),
        Check(
            "no training, gate or rollout was done again",
            not repeated and before.count("model.trained") > 0,
            _some(repeated)
            or ", ".join(f"{n} {topic}" for topic in REPEATABLE if (n := before.count(topic))),
        ),
    ]


def counts_agree(champion: str, seen: Counted) -> list[Check]:
    """Compare what was sent over the whole drill with what came of it."""
    return [
        Check(
            "every prediction was logged once, and none failed",
            0 < seen.asked == seen.logged == seen.distinct and not seen.failed,
            f"{seen.asked} asked, {seen.logged} logged, {seen.distinct} distinct,"
            f" {seen.failed} failed",
        ),
        Check(
            "predictions go on with the champion's version",
            seen.versions == {champion},
            f"answered by {', '.join(sorted(seen.versions)) or 'none'}",
        ),
        Check(
            "every label was joined, also those of predictions from before the loss",
            0 < seen.labels_sent == seen.labels_joined,
            f"{seen.labels_sent} sent, {seen.labels_joined} joined",
        ),
        Check(
            "every record is in the lake once, also those that were sent again",
            bool(seen.records_sent) and dict(seen.records_sent) == dict(seen.records_stored),
            f"{dict(seen.records_sent)} sent, {dict(seen.records_stored)} stored",
        ),
        Check(
            "the registry holds the versions that it held",
            0 < seen.runs[0] == seen.runs[1],
            f"{seen.runs[0]} before, {seen.runs[1]} after",
        ),
        Check("nothing lies in the dead letters", not seen.dead, _some(seen.dead) or "none"),
    ]


def in_time(seconds: float, most: float) -> Check:
    """Compare the time to recovery with what is allowed."""
    return Check(
        f"the first prediction is answered within {most:g} s of the loss",
        seconds <= most,
        f"{seconds:.1f} s",
    )


def _goes_on(topic: str, old: tuple[str, ...], new: tuple[str, ...]) -> bool:
    if BY_TYPE[topic].compacted:  # what is out of date may be gone
        kept = [identity for identity in old if identity in set(new)]
        return list(new[: len(kept)]) == kept and (not old or bool(kept) or bool(new))
    return new[: len(old)] == old


def _some(what: Iterable[str]) -> str:
    listed = list(what)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return "; ".join(listed[:SHOWN]) + more
