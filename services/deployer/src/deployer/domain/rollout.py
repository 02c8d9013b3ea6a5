"""The rollout state machine: `begin`, `advance`, `command`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from deployer.domain.evidence import Measurement, StepEvidence, at_weight
from deployer.domain.policy import Policy
from deployer.domain.verdict import ArmEvidence, Outcome, Verdict, judge

Phase = Literal["canary", "probation", "stable", "paused"]
End = Literal["running", "promoted", "rolled_back", "aborted"]
Command = Literal["pause", "resume", "promote", "abort", "rollback"]

REMEMBERED = 1000
"""Versions of one model that are remembered, to roll each of them out once."""


class RefusedCommandError(Exception):
    """The command makes no sense now; the text says why and what would."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The routing of one model; versions are named, not held."""

    rollout_id: str
    sequence: int
    phase: Phase
    champion: str
    challenger: str | None = None
    weight: float = 0.0
    shadow: float = 0.0
    """Share of the champion's predictions that the challenger scores unseen."""
    outcome: End = "running"
    previous: str | None = None
    """The champion before this one, to which a command can go back."""
    waiting: str | None = None
    """A version that was approved while the rollout ran; the newest wins."""
    decided: tuple[str, ...] = ()
    """The newest versions whose rollout began, or that a newer one replaced before; the oldest
    first."""
    silent_since: datetime | None = None
    """Wall time at which it was first looked at after its newest step or measurement."""

    commands_after: datetime | None = None
    """Wall time of the step that a lost state was rebuilt from: what was commanded until then was
    carried out."""
    approvals_after: datetime | None = None
    """The same for approvals, where that step did not say which versions had their turn."""

    @property
    def running(self) -> bool:
        """Whether a challenger is under trial."""
        return self.challenger is not None


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the rollout, why, and on what evidence."""

    rollout: Rollout
    reason: str
    verdict: Verdict | None = None
    evidence: StepEvidence | None = None


def begin(current: Rollout | None, version: str, rollout_id: str, policy: Policy) -> Step | None:
    """Begin the rollout of an approved version.

    Returns:
        The first step of its rollout; a step that only notes that it waits has the same sequence
        as before; None when the version had its turn, however that ended.
    """
    if current is None:
        first = Rollout(rollout_id, 0, "stable", version, outcome="promoted", decided=(version,))
        return Step(first, f"version {version} is the first of its model, so it serves at once")
    # A state that was written before `decided` was kept names no more versions than these.
    named = (current.champion, current.challenger, current.waiting, current.previous)
    if version in named or version in current.decided:
        return None
    if current.running:
        replaced = (current.waiting,) if current.waiting else ()
        waits = replace(current, waiting=version, decided=_remembered(current, *replaced))
        return Step(waits, f"version {version} waits for the running rollout")
    if policy.shadow_labelled:
        weight, shadow = 0.0, policy.shadow_share
        how = f"in shadow of {shadow:.0%} until {_shadow_labels(policy)} labels"
    else:
        weight, shadow = policy.steps[0], 0.0
        how = f"canary at {weight:.0%}"
    started = Rollout(
        rollout_id,
        current.sequence + 1,
        "probation" if weight == 1 else "canary",
        current.champion,
        challenger=version,
        weight=weight,
        shadow=shadow,
        previous=current.previous,
        decided=_remembered(current, version),
    )
    return Step(started, f"version {version} was approved: {how}")


def _remembered(current: Rollout, *versions: str) -> tuple[str, ...]:
    """Return the versions that had their turn, with those that have it now."""
    named = (current.previous, current.champion, current.challenger)
    known = (*current.decided, *(v for v in named if v and v not in current.decided), *versions)
    return tuple(dict.fromkeys(known))[-REMEMBERED:]


def advance(rollout: Rollout, measured: Sequence[Measurement], policy: Policy) -> Step | None:
    """Judge the current step; return None when it goes on as it is."""
    if not rollout.running or rollout.phase == "paused":
        return None
    step = at_weight(measured, rollout.weight)
    if rollout.phase == "probation":
        return _advance_probation(rollout, step, measured, policy)
    if rollout.shadow:
        return _advance_shadow(rollout, step, policy)
    verdict = _judged(step.champion, step.challenger, policy, policy.loss_margin)
    if verdict.outcome is Outcome.UNHEALTHY:
        return _ended(
            rollout, "rolled_back", f"unhealthy at {rollout.weight:.0%}: {verdict}", verdict, step
        )
    if verdict.outcome is Outcome.HEALTHY:
        reason = f"healthy at {rollout.weight:.0%}: {verdict}"
        return _heavier(rollout, policy, reason, verdict, step)
    return _timed_out(rollout, step, policy, verdict)


def look(rollout: Rollout, wall: datetime, policy: Policy) -> tuple[Rollout, Step | None]:
    """Look at a rollout at a wall time: event time stands still where nothing is measured.

    Returns:
        The rollout that remembers since when it is silent, and its end when nothing was measured
        for as long as a step may take.
    """
    if not rollout.running or rollout.phase == "paused":
        return rollout, None
    if rollout.silent_since is None:
        return replace(rollout, silent_since=wall), None
    if wall - rollout.silent_since <= policy.max_step:
        return rollout, None
    where = "in shadow" if rollout.shadow else f"at {rollout.weight:.0%}"
    reason = f"nothing was measured for {policy.max_step} of wall time {where}"
    return rollout, _ended(rollout, "rolled_back", reason)


def command(rollout: Rollout | None, order: Command, by: str, reason: str) -> Step:
    """Carry out a person's command.

    Raises:
        RefusedCommandError: the rollout is in no state for it.
    """
    if rollout is None:
        raise RefusedCommandError(f"{order}: the model has no version in service yet")
    why = f"{order} by {by}: {reason}"
    if order == "rollback" and not rollout.running:
        if rollout.previous is None:
            raise RefusedCommandError("rollback: there is no version before this one")
        back = replace(
            rollout,
            sequence=rollout.sequence + 1,
            champion=rollout.previous,
            previous=rollout.champion,
            outcome="rolled_back",
        )
        return Step(back, why)
    if not rollout.running:
        raise RefusedCommandError(f"{order}: no rollout is running; approve a version first")
    if order == "pause":
        if rollout.phase == "paused":
            raise RefusedCommandError("pause: the rollout is paused already; resume it")
        return Step(replace(rollout, sequence=rollout.sequence + 1, phase="paused"), why)
    if order == "resume":
        if rollout.phase != "paused":
            raise RefusedCommandError("resume: the rollout is not paused")
        phase: Phase = "probation" if rollout.weight == 1 else "canary"
        return Step(replace(rollout, sequence=rollout.sequence + 1, phase=phase), why)
    ends: dict[Command, End] = {
        "promote": "promoted",
        "abort": "aborted",
        "rollback": "rolled_back",
    }
    return _ended(rollout, ends[order], why)


def _judged(
    champion: ArmEvidence, challenger: ArmEvidence, policy: Policy, loss_margin: float
) -> Verdict:
    return judge(
        champion,
        challenger,
        loss_margin=loss_margin,
        error_margin=policy.error_margin,
        min_labelled=policy.min_labelled,
        alpha=policy.alpha,
        loss=policy.loss,
        margin_is_share=policy.margin_unit == "share",
    )


def _advance_shadow(rollout: Rollout, step: StepEvidence, policy: Policy) -> Step | None:
    """Wait for labels, and for no proof: in shadow the challenger risks nothing."""
    verdict = _judged(step.champion, step.shadow, policy, policy.loss_margin)
    if verdict.outcome is Outcome.UNHEALTHY:
        return _ended(rollout, "rolled_back", f"unhealthy in shadow: {verdict}", verdict, step)
    labelled = step.shadow.loss.n
    if labelled >= _shadow_labels(policy):
        reason = f"{labelled} labels in shadow without harm: {verdict}"
        return _heavier(rollout, policy, reason, verdict, step)
    return _timed_out(rollout, step, policy, verdict)


def _shadow_labels(policy: Policy) -> int:
    """Return the labels that end the shadow: too few for a verdict would be no evidence."""
    return max(policy.shadow_labelled, policy.min_labelled)


def _heavier(
    rollout: Rollout, policy: Policy, reason: str, verdict: Verdict, evidence: StepEvidence
) -> Step:
    """Return the next step of the policy."""
    weight = policy.after(rollout.weight)
    following = replace(
        rollout,
        sequence=rollout.sequence + 1,
        weight=weight,
        shadow=0.0,
        phase="probation" if weight == 1 else "canary",
    )
    return Step(following, reason, verdict, evidence)


def _advance_probation(
    rollout: Rollout, step: StepEvidence, measured: Sequence[Measurement], policy: Policy
) -> Step | None:
    """Compare the challenger, alone at 100 %, with the champion's last canary step.

    The two did not live through the same days, hence a margin of its own.
    """
    canary = [weight for weight in policy.steps if weight < 1]
    before = at_weight(measured, canary[-1]) if canary else step
    verdict = _judged(before.champion, step.challenger, policy, policy.probation_margin)
    if verdict.outcome is Outcome.UNHEALTHY:
        return _ended(rollout, "rolled_back", f"unhealthy on probation: {verdict}", verdict, step)
    labelled = step.challenger.loss.n
    if labelled >= policy.probation_labelled:
        reason = f"{labelled} labels on probation without harm: {verdict}"
        return _ended(rollout, "promoted", reason, verdict, step)
    return _timed_out(rollout, step, policy, verdict)


def _timed_out(
    rollout: Rollout, step: StepEvidence, policy: Policy, verdict: Verdict
) -> Step | None:
    if step.start is None or step.end is None or step.end - step.start <= policy.max_step:
        return None
    where = "in shadow" if rollout.shadow else f"at {rollout.weight:.0%}"
    reason = f"no verdict within {policy.max_step} {where}: {verdict}"
    return _ended(rollout, "rolled_back", reason, verdict, step)


def _ended(
    rollout: Rollout,
    end: End,
    reason: str,
    verdict: Verdict | None = None,
    evidence: StepEvidence | None = None,
) -> Step:
    promoted = end == "promoted" and rollout.challenger is not None
    ended = replace(
        rollout,
        sequence=rollout.sequence + 1,
        phase="stable",
        champion=rollout.challenger if promoted else rollout.champion,
        previous=rollout.champion if promoted else rollout.previous,
        challenger=None,
        weight=0.0,
        shadow=0.0,
        outcome=end,
    )
    return Step(ended, reason, verdict, evidence)
