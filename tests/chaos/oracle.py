"""Compares what went in with what the platform holds. Pure: no clock, no broker, no file.

Five promises: nothing acknowledged is lost, nothing counts twice, the state at the end is the one
that the events lead to, every answer is one that is documented, and no dead letter is a surprise.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tests.chaos.evidence import ArmKey, Found, Label, Logged, Measured, Sent, Step

DOCUMENTED = {("predict", 200), ("predict", 503), ("ingest", 202), ("ingest", 503)}
"""Answers that a client that breaks no contract may get."""
MAX_UNAVAILABLE = 0.5
"""Largest share of 503 among all answers of a run, retries with them. The most in the 50 runs of
docs/reliability.md is .36, when two services were down for a minute and a half."""
LOSS_TOLERANCE = 1e-6
"""Nats; sums are kept in whole multiples of 2**-32."""
CLIP = 1e-6
SHOWN = 5
"""Ids that a violation names."""


class Promise(StrEnum):
    """What can be broken."""

    LOST = "lost"
    TWICE = "twice"
    STATE = "state"
    ANSWER = "answer"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and how.

    Attributes:
        promise: Which.
        what: What was looked at.
        count: How many times.
        text: For people.
    """

    promise: Promise
    what: str
    count: int
    text: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.text}"


def judge(sent: Sent, found: Found, until: datetime) -> list[Violation]:
    """Every broken promise of a run.

    Args:
        sent: What the client sent, and what was acknowledged.
        found: What the platform holds.
        until: Slices that begin before it have been measured for the last time.
    """
    return [
        *_answers(sent),
        *_predictions(sent, found),
        *_labels(sent, found),
        *_measurements(found, until),
        *_records(sent, found),
        *_rollout(sent, found),
        *_routes(found),
        *_retraining(sent, found),
        *_dead(sent, found),
    ]


def _answers(sent: Sent) -> Iterator[Violation]:
    for (door, status), count in sorted(sent.answers.items()):
        if (door, status) not in DOCUMENTED:
            text = f"{count} answers {status} of {door}"
            yield Violation(Promise.ANSWER, "answers", count, text)
    away = sum(count for (_, status), count in sent.answers.items() if status == 503)
    if away > MAX_UNAVAILABLE * sent.answers.total():
        text = f"{away} of {sent.answers.total()} answers are 503, over {MAX_UNAVAILABLE:g} of them"
        yield Violation(Promise.ANSWER, "share of 503", away, text)
    if sent.unanswered:
        yield _named(Promise.ANSWER, "answers", "never answered", sent.unanswered)


def _predictions(sent: Sent, found: Found) -> Iterator[Violation]:
    ids: dict[str, set[str]] = {}
    for logged in found.logged:
        ids.setdefault(logged.prediction_id, set()).add(logged.event_id)
    if lost := sent.answered - ids.keys():
        yield _named(Promise.LOST, "predictions", "answered and not logged", lost)
    if lost := sent.requested - ids.keys():
        yield _named(Promise.LOST, "requests", "acknowledged and not answered", lost)
    if twice := [name for name, events in ids.items() if len(events) > 1]:
        yield _named(Promise.TWICE, "predictions", "logged under several event ids", twice)
    if strange := ids.keys() - sent.asked.keys():
        yield _named(Promise.TWICE, "predictions", "logged and never asked for", strange)


def _labels(sent: Sent, found: Found) -> Iterator[Violation]:
    none: set[Label] = set()
    acknowledged = sent.acknowledged_labels.items()
    if lost := [name for name, labels in acknowledged if labels - found.labels.get(name, none)]:
        yield _named(Promise.LOST, "labels", "acknowledged and not on the bus", lost)
    on_bus = found.labels.items()
    if strange := [name for name, labels in on_bus if labels - sent.labels.get(name, none)]:
        yield _named(Promise.TWICE, "labels", "on the bus and never sent", strange)


def expected_measurements(
    logged: Sequence[Logged], labels: Mapping[str, set[Label]], until: datetime
) -> dict[ArmKey, Measured]:
    """What each arm's counts are, from the events alone: the first of a prediction counts, and of
    its labels the one that was observed last.
    """
    seen: set[str] = set()
    counts: dict[ArmKey, Measured] = {}
    for each in logged:
        if each.prediction_id in seen:
            continue
        seen.add(each.prediction_id)
        if each.key.start >= until:
            continue
        truth = max(labels.get(each.prediction_id, ()), key=lambda x: x.observed_at, default=None)
        joined = truth is not None and each.score is not None
        loss = log_loss(each.score, truth.value) if truth and each.score is not None else 0.0
        before = counts.get(each.key, Measured(0, 0, 0, 0, 0, 0.0))
        counts[each.key] = Measured(
            0,
            before.n + 1,
            before.errors + (each.score is None),
            before.labelled + joined,
            before.positives + (truth.value if truth and joined else 0),
            before.loss + loss,
        )
    return counts


def log_loss(score: float, label: int) -> float:
    """In nats, of a score that is clipped as the monitor does."""
    p = min(max(score, CLIP), 1 - CLIP)
    return -math.log(p) if label else -math.log1p(-p)


def _measurements(found: Found, until: datetime) -> Iterator[Violation]:
    expected = expected_measurements(found.logged, found.labels, until)
    measured = {key: m for key, m in found.measured.items() if key.start < until}
    for key in sorted(expected.keys() | measured.keys()):
        nothing = Measured(0, 0, 0, 0, 0, 0.0)
        want, have = expected.get(key, nothing), measured.get(key, nothing)
        where = f"version {key.version} as {key.arm} at {key.weight:g} on {key.start:%Y-%m-%d}"
        for what, unit in (("n", "predictions"), ("errors", "errors"), ("labelled", "labels")):
            a, b = getattr(want, what), getattr(have, what)
            if a != b:
                promise = Promise.LOST if b < a else Promise.TWICE
                text = f"{where}: {b} {unit} measured of {a}"
                yield Violation(promise, f"measured {what}", abs(a - b), text)
        same = want.n == have.n and want.labelled == have.labelled
        wrong = want.positives != have.positives or abs(want.loss - have.loss) > (
            LOSS_TOLERANCE * max(1, want.labelled)
        )
        if same and wrong:
            yield Violation(
                Promise.STATE,
                "measured loss",
                1,
                f"{where}: {have.positives} positives and a loss of {have.loss:.6f} measured,"
                f" where the labels make {want.positives} and {want.loss:.6f}",
            )


def _records(sent: Sent, found: Found) -> Iterator[Violation]:
    for dataset in sorted(sent.records.keys() | found.lake.keys()):
        rows = found.lake.get(dataset, Counter())
        acknowledged = sent.acknowledged_records.get(dataset, set())
        if lost := acknowledged - rows.keys():
            yield _named(Promise.LOST, "lake rows", f"acknowledged and not in {dataset}", lost)
        if twice := [name for name, count in rows.items() if count > 1]:
            yield _named(Promise.TWICE, "lake rows", f"more than once in {dataset}", twice)
        if strange := rows.keys() - sent.records.get(dataset, set()):
            yield _named(Promise.TWICE, "lake rows", f"in {dataset} and never sent", strange)


def _rollout(sent: Sent, found: Found) -> Iterator[Violation]:
    by_sequence: dict[int, set[str]] = {}
    for step in found.steps:
        by_sequence.setdefault(step.sequence, set()).add(step.event_id)
    if twice := [str(n) for n, events in by_sequence.items() if len(events) > 1]:
        yield _named(Promise.TWICE, "rollout steps", "taken twice: sequence", twice)
    repeated = Counter(step.event_id for step in found.steps)
    if again := [name for name, count in repeated.items() if count > 1]:
        yield _named(Promise.TWICE, "rollout steps", "committed twice", again)
    if missing := [str(n) for n in range(max(by_sequence, default=-1)) if n not in by_sequence]:
        yield _named(Promise.LOST, "rollout steps", "missing: sequence", missing)
    for before, after in zip(found.steps, found.steps[1:], strict=False):
        if problem := _illegal(before, after):
            text = f"step {after.sequence} after step {before.sequence}: {problem}"
            yield Violation(Promise.STATE, "rollout steps", 1, text)
    begun: dict[str, set[str]] = {}
    for step in found.steps:
        if step.challenger is not None:
            begun.setdefault(step.challenger, set()).add(step.rollout_id)
    if again := [version for version, rollouts in begun.items() if len(rollouts) > 1]:
        yield _named(Promise.TWICE, "rollouts", "of one version, begun again: version", again)
    reasons = [step.reason for step in found.steps]
    refusals = Counter(_commander(value) for _, value, _ in found.dead)
    for who in sorted(sent.commands):
        carried = sum(f" by {who}:" in reason for reason in reasons)
        refused = refusals[who]
        if carried + refused == 0:
            yield Violation(Promise.LOST, "commands", 1, f"the command of {who} came to nothing")
        if carried > 1 or refused > 1:
            text = f"the command of {who} was carried out {carried} times, refused {refused} times"
            yield Violation(Promise.TWICE, "commands", carried + refused - 1, text)


def _illegal(before: Step, after: Step) -> str | None:
    """Why a step cannot follow another; None when it can."""
    if after.sequence <= before.sequence:
        return "it does not come later"
    if before.challenger is None:
        starts = after.challenger is not None and after.phase in ("canary", "probation")
        back = after.outcome == "rolled_back" and after.challenger is None
        if not (starts or back):
            return f"{after.phase} without a challenger"
        return None
    if after.challenger is None:
        right = before.challenger if after.outcome == "promoted" else before.champion
        if after.champion != right:
            return f"{after.outcome}, and version {after.champion} serves in place of {right}"
        return None
    if (after.challenger, after.champion) != (before.challenger, before.champion):
        return "another challenger before the end"
    if after.weight < before.weight:
        return f"the weight fell from {before.weight:g} to {after.weight:g}"
    return None


def _routes(found: Found) -> Iterator[Violation]:
    if not found.steps:
        yield Violation(Promise.STATE, "rollout", 1, "there never was a rollout")
        return
    last = found.steps[-1]
    if last.challenger is not None:
        text = f"the rollout of version {last.challenger} came to no end: {last.phase}"
        yield Violation(Promise.STATE, "rollout", 1, text)
    right = (last.sequence, last.phase, last.champion, last.challenger, last.weight)
    for name, route in sorted({**found.routes, "the deployer": found.kept}.items()):
        if route is None:
            yield Violation(Promise.STATE, "routes", 1, f"{name} knows nothing of the model")
            continue
        has = (route.sequence, route.phase, route.champion, route.challenger, route.weight)
        if has != right:
            text = f"{name} is at {has}, and the last step is {right}"
            yield Violation(Promise.STATE, "routes", 1, text)


def _retraining(sent: Sent, found: Found) -> Iterator[Violation]:
    if lost := sent.requests - found.requests:
        yield _named(Promise.LOST, "requests", "to retrain, acknowledged and not on the bus", lost)
    final: Counter[str] = Counter()
    last: dict[str, str] = {}
    events: Counter[str] = Counter()
    for decision in found.decisions:
        events[decision.event_id] += 1
        final[decision.request_id] += decision.decision != "deferred"
        last[decision.request_id] = decision.decision
    if undecided := found.requests - last.keys():
        yield _named(Promise.LOST, "decisions", "to retrain, never decided", undecided)
    if waiting := [name for name, decision in last.items() if decision == "deferred"]:
        yield _named(Promise.STATE, "decisions", "deferred, and the rollout is over", waiting)
    twice = [n for n, count in final.items() if count > 1]
    twice += [n for n, count in events.items() if count > 1]
    if twice:
        yield _named(Promise.TWICE, "decisions", "decided twice", twice)
    for decision in found.decisions:
        if decision.decision != "accepted":
            continue
        outcomes = set(found.outcomes.get(decision.event_id, ()))
        if not outcomes:
            text = f"the training of request {decision.request_id} has no outcome"
            yield Violation(Promise.LOST, "trainings", 1, text)
        if len(outcomes) > 1:
            text = f"request {decision.request_id} has {len(outcomes)} outcomes"
            yield Violation(Promise.TWICE, "trainings", len(outcomes) - 1, text)
        runs = found.runs.get(decision.request_id, 0)
        if runs != 1:
            text = f"request {decision.request_id} has {runs} concluded runs"
            promise = Promise.TWICE if runs > 1 else Promise.LOST
            yield Violation(promise, "runs", abs(runs - 1), text)
    for version in sorted(found.trained):
        verdicts = found.judged.get(version, set())
        if len(verdicts) != 1:
            text = f"version {version} was judged {len(verdicts)} times"
            promise = Promise.TWICE if verdicts else Promise.LOST
            yield Violation(promise, "verdicts", 1, text)


def _dead(sent: Sent, found: Found) -> Iterator[Violation]:
    held = {value for _, value, _ in found.dead}
    if lost := sent.poison - held:
        yield _named(Promise.LOST, "dead letters", "unreadable, and kept nowhere", map(repr, lost))
    surprises = [
        f"{service}: {reason}"
        for service, value, reason in found.dead
        if value not in sent.poison and _commander(value) not in sent.commands
    ]
    if surprises:
        yield _named(Promise.DEAD, "dead letters", "dead letters", surprises)


def _commander(value: bytes) -> str | None:
    """Who gave the command in a dead letter: the whole name, since one may begin another."""
    try:
        body = json.loads(value)
    except ValueError:
        return None
    name = body.get("commanded_by") if isinstance(body, dict) else None
    return name if isinstance(name, str) else None


def _named(promise: Promise, what: str, text: str, names: object) -> Violation:
    """A violation of some things, of which the first are named."""
    listed = sorted(str(name) for name in names)  # type: ignore[attr-defined]
    shown = ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")
    return Violation(promise, what, len(listed), f"{len(listed)} {what} {text}: {shown}")
