"""Events in, `rollout.step` out."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, get_args

from pydantic import TypeAdapter

from deployer.domain.confidence import Sample
from deployer.domain.evidence import Measurement
from deployer.domain.policy import Policy
from deployer.domain.rollout import End, Phase, Rollout, Step, advance, begin, command, look
from deployer.domain.verdict import ArmEvidence, Verdict
from deployer.metrics import IGNORED, PHASE, RECOVER_SECONDS, ROLLOUTS, SEQUENCE, WEIGHT
from event_schemas import ArmMeasured, EventBody, ModelApproved, RolloutCommand, RolloutStep
from event_schemas import rollout as rollout_events
from event_schemas.base import TimeRange
from event_schemas.model import ModelVersion
from servicekit.event import Event
from servicekit.processor import Due, Processor
from servicekit.table import Table
from servicekit.telemetry.committed import when_committed
from servicekit.telemetry.tracing import link_to

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """What the deployer has published before it lost its state."""

    steps: Sequence[Event[RolloutStep]]
    """The newest of each model."""
    approved: Mapping[str, ModelVersion]
    """By model and version."""


class Deployer:
    """The rollouts of every model, and the evidence for the one that runs."""

    def __init__(self) -> None:
        self.rollouts = Table[Rollout].of("rollout", Rollout)
        self.versions = Table[ModelVersion].of("version", ModelVersion)
        """Every version that a rollout names, by model and version."""
        self.measured = Table[Measurement].of("measured", Measurement)
        """Newest measurement of each model's running rollout, by model, arm, weight and window: one
        value for all of them would outgrow a message."""
        evidence = TypeAdapter(dict[str, Measurement])
        self.evidence: Table[dict[str, Measurement]] = Table(
            "evidence", evidence.dump_json, evidence.validate_json
        )
        """The same as earlier releases kept it, a value a model; it is moved when it is met."""
        self.traces = Table("trace", str.encode, bytes.decode)
        """Trace of the approval that began each model's running rollout."""

    @property
    def processor(self) -> Processor:
        """The handlers and tables, for the loop."""
        return Processor(
            "deployer",
            {
                ModelApproved: self.on_model_approved,
                ArmMeasured: self.on_arm_measured,
                RolloutCommand: self.on_rollout_command,
            },
            (self.rollouts, self.versions, self.measured, self.evidence, self.traces),
            self.measure,
            self.due,
            # 2: evidence lies under a key a window; 1 had all of a rollout under one.
            state_format=2,
        )

    def rebuild(self, published: Published) -> None:
        """Take each rollout up where its newest step says that it stands, with no evidence.

        A version that waited for its end is known from its approval alone, when that is read again.
        """
        for event in published.steps:
            step, model = event.body, event.body.model
            previous = published.approved.get(f"{model}/{step.previous}")
            named = [v for v in (previous, step.champion, step.challenger) if v is not None]
            for version in named:
                self.versions.put(f"{model}/{version.version}", version)
            rollout = Rollout(
                step.rollout_id,
                step.sequence,
                step.phase,
                step.champion.version,
                challenger=step.challenger.version if step.challenger else None,
                weight=step.weight,
                shadow=step.shadow,
                outcome=step.outcome,
                previous=previous.version if previous else None,
                decided=step.decided,
                commands_after=event.time,
                approvals_after=None if step.decided else event.time,
            )
            self.rollouts.put(model, rollout)

    def measure(self) -> None:
        """Set the gauges to where each rollout stands."""
        for model, rollout in self.rollouts.scan():
            WEIGHT.labels(model).set(rollout.weight)
            SEQUENCE.labels(model).set(rollout.sequence)
            # Series that begin at their first event would hide it from increase().
            RECOVER_SECONDS.labels(model)
            IGNORED.labels(model)
            for phase in get_args(Phase):
                PHASE.labels(model, phase).set(phase == rollout.phase)
            for outcome in get_args(End):
                if outcome != "running":
                    ROLLOUTS.labels(model, outcome)

    def on_model_approved(self, event: Event[ModelApproved]) -> Iterator[EventBody]:
        """Start a rollout, or queue the version behind the one that runs; each version once."""
        rollout = self.rollouts.get(event.body.version.model)
        if rollout and _is_past(event, rollout.approvals_after):
            self._ignore(event, event.body.version)
            return
        yield from self._begin(event, event.body.version)

    def on_arm_measured(self, event: Event[ArmMeasured]) -> Iterator[EventBody]:
        """Add a measurement to the evidence, and judge."""
        body = event.body
        rollout = self.rollouts.get(body.model)
        if rollout is None or not rollout.running or body.rollout_id != rollout.rollout_id:
            return
        self._move_evidence(body.model)
        key = _measured_key(body.model, body.arm, body.weight, body.window.start)
        known = self.measured.get(key)
        if known and known.revision >= body.revision:
            return
        measurement = Measurement(
            arm=body.arm,
            weight=body.weight,
            start=body.window.start,
            end=body.window.end,
            revision=body.revision,
            evidence=ArmEvidence(
                body.n,
                body.errors,
                self._losses(body, rollout),
            ),
        )
        self.measured.put(key, measurement)
        if rollout.silent_since is not None:
            rollout = replace(rollout, silent_since=None)
            self.rollouts.put(body.model, rollout)
        evidence = [each for _, each in self._measured_of(body.model)]
        step = advance(rollout, evidence, self._policy(body.model, rollout))
        if step:
            link_to(self.traces.get(body.model))
            yield from self._apply(event, body.model, step)

    def on_rollout_command(self, event: Event[RolloutCommand]) -> Iterator[EventBody]:
        """Carry out a person's command; a senseless one becomes a dead letter with the reason."""
        body = event.body
        rollout = self.rollouts.get(body.model)
        if rollout and _is_past(event, rollout.commands_after):
            log.info("command %s of %s was carried out before", event.id, body.model)
            return
        step = command(self.rollouts.get(body.model), body.command, body.commanded_by, body.reason)
        yield from self._apply(event, body.model, step)

    def due(self, now: datetime) -> Iterator[Due]:
        """Rollouts of which nothing was measured for too long; the cause is their newest step."""
        for model, rollout in self.rollouts.items():
            if not rollout.running:
                continue
            looked, end = look(rollout, now, self._policy(model, rollout))
            if looked is not rollout:
                self.rollouts.put(model, looked)
            if end is not None:
                silent = self._event(model, rollout, Step(rollout, end.reason))
                name = f"{rollout.rollout_id}/{rollout.sequence}/silent"
                traced = self.traces.get(model)
                yield (
                    Event(silent, "/tailrace/deployer", now, id=name, traceparent=traced),
                    partial(self._apply, model=model, step=end),
                )

    def _begin(self, event: Event[Any], version: ModelVersion) -> Iterator[EventBody]:
        model = version.model
        rollout_id = f"{model}-{version.version}-{event.id[:8]}"
        step = begin(self.rollouts.get(model), version.version, rollout_id, policy_of(version))
        if step is None:
            self._ignore(event, version)
            return
        self.versions.put(f"{model}/{version.version}", version)
        if event.traceparent:
            self.traces.put(model, event.traceparent)
        yield from self._apply(event, model, step)

    def _ignore(self, event: Event[Any], version: ModelVersion) -> None:
        when_committed(IGNORED.labels(version.model).inc)
        log.info(
            "approval %s of version %s of %s is ignored: the version had its rollout, and has"
            " one only; train another to try again",
            *(event.id, version.version, version.model),
        )

    def _apply(self, event: Event[Any], model: str, step: Step) -> Iterator[EventBody]:
        """Keep the new state, and yield a step when the routing changed."""
        before = self.rollouts.get(model)
        rollout = step.rollout
        waiting = rollout.waiting if not rollout.running else None
        if waiting:
            rollout = replace(rollout, waiting=None)
        if before and rollout.sequence != before.sequence:
            rollout = replace(rollout, silent_since=None)
        self.rollouts.put(model, rollout)
        if before and rollout.sequence == before.sequence:
            return
        if not rollout.running:
            self.evidence.delete(model)
            for key, _ in list(self._measured_of(model)):
                self.measured.delete(key)
            self.traces.delete(model)
            self._count_end(model, rollout, step)
        yield self._event(model, rollout, step)
        if waiting:
            yield from self._begin(event, self.versions[f"{model}/{waiting}"])
        else:
            self._forget_versions(model, rollout)

    def _measured_of(self, model: str) -> Iterator[tuple[str, Measurement]]:
        beginning = f"{model}/"  # a model's name has no slash
        return ((key, each) for key, each in self.measured.scan() if key.startswith(beginning))

    def _move_evidence(self, model: str) -> None:
        for each in (self.evidence.get(model) or {}).values():
            self.measured.put(_measured_key(model, each.arm, each.weight, each.start), each)
        self.evidence.delete(model)

    def _count_end(self, model: str, rollout: Rollout, step: Step) -> None:
        when_committed(ROLLOUTS.labels(model, rollout.outcome).inc)
        until = step.evidence.end if step.evidence else None
        if rollout.outcome == "promoted" and until is not None:
            trained_at = self.versions[f"{model}/{rollout.champion}"].trained_at
            took = (until - trained_at).total_seconds()
            when_committed(RECOVER_SECONDS.labels(model).observe, took)

    def _forget_versions(self, model: str, rollout: Rollout) -> None:
        named = {rollout.champion, rollout.challenger, rollout.previous, rollout.waiting}
        for key, version in self.versions.items():
            if version.model == model and version.version not in named:
                self.versions.delete(key)

    def _event(self, model: str, rollout: Rollout, step: Step) -> RolloutStep:
        evidence = step.evidence
        measured = (
            TimeRange(start=evidence.start, end=evidence.end)
            if evidence and evidence.start and evidence.end
            else None
        )
        return RolloutStep(
            model=model,
            rollout_id=rollout.rollout_id,
            sequence=rollout.sequence,
            phase=rollout.phase,
            champion=self.versions[f"{model}/{rollout.champion}"],
            challenger=self.versions[f"{model}/{rollout.challenger}"]
            if rollout.challenger
            else None,
            weight=rollout.weight,
            shadow=rollout.shadow,
            salt=rollout.rollout_id,
            verdict=_verdict(step.verdict) if step.verdict else None,
            reason=step.reason,
            outcome=rollout.outcome,
            previous=rollout.previous,
            decided=rollout.decided,
            event_time=measured.end if measured else None,
            evidence=measured,
        )

    def _losses(self, body: ArmMeasured, rollout: Rollout) -> Sample:
        """The losses of an arm; none if they are not of the challenger's kind: nothing compares."""
        of_arm = self.versions.get(f"{body.model}/{body.version}")
        judged = self.versions[f"{body.model}/{rollout.challenger}"]
        if of_arm is not None and of_arm.loss != judged.loss:
            return Sample()
        return Sample(body.loss.n, body.loss.total, body.loss.total_squared)

    def _policy(self, model: str, rollout: Rollout) -> Policy:
        return policy_of(self.versions[f"{model}/{rollout.challenger}"])


def _is_past(event: Event[Any], moment: datetime | None) -> bool:
    return moment is not None and event.time <= moment


def _measured_key(model: str, arm: str, weight: float, start: datetime) -> str:
    return f"{model}/{arm}/{weight}/{start.isoformat()}"


def policy_of(version: ModelVersion) -> Policy:
    """The rollout policy that a version brought along."""
    return Policy(**version.policies.rollout.model_dump(), loss=version.loss.name)


def _verdict(verdict: Verdict) -> rollout_events.Verdict:
    return rollout_events.Verdict.model_validate(
        {
            "metric": verdict.metric,
            "outcome": verdict.outcome.value,
            "effect": _finite(verdict.effect.estimate),
            "low": _finite(verdict.effect.low),
            "high": _finite(verdict.effect.high),
            "margin": verdict.margin,
            "n_champion": verdict.n_champion,
            "n_challenger": verdict.n_challenger,
        }
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
