"""Decides on requests for retraining, and asks for some itself."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from event_schemas import (
    DataArrived,
    DriftCleared,
    DriftDetected,
    EventBody,
    ModelApproved,
    ModelRejected,
    RetrainDecided,
    RetrainRequested,
    RolloutStep,
    TrainingFailed,
)
from event_schemas.policy import RetrainPolicy
from event_schemas.policy_rules import contradictions
from servicekit.event import Event, derived_id
from servicekit.processor import Due, Processor
from servicekit.table import Table
from servicekit.telemetry.committed import when_committed
from trainer.domain import governance
from trainer.domain.governance import ModelState, Request, RetrainRules
from trainer.handlers.metrics import (
    DECIDE_SECONDS,
    DECISIONS,
    FEED_BROKEN,
    IN_FLIGHT,
    INVALID,
    TRAININGS,
)
from trainer.ports import Catalog

log = logging.getLogger(__name__)

SERVICE = "trainer"


@dataclass(frozen=True, slots=True)
class Growth:
    """How far a dataset has come."""

    table_version: int
    rows: int
    """Rows of the table."""
    until: datetime | None = None
    """End of the newest event time that was seen."""


class Governor:
    """One handler for each event; the state of a model lies in a table, and so does a dataset's."""

    def __init__(self, catalog: Catalog, *, in_flight_limit: timedelta = timedelta(days=1)) -> None:
        self._catalog = catalog
        self._in_flight_limit = in_flight_limit
        self._models: Table[ModelState] = Table.of("models", ModelState)
        self._datasets: Table[Growth] = Table.of("datasets", Growth)

    def processor(self) -> Processor:
        """The governor as the transactional loop runs it."""
        return Processor(
            SERVICE,
            {
                RetrainRequested: self.on_retrain_requested,
                DriftDetected: self.on_drift_detected,
                DriftCleared: self.on_drift_cleared,
                DataArrived: self.on_data_arrived,
                RolloutStep: self.on_rollout_step,
                ModelApproved: self.on_model_approved,
                ModelRejected: self.on_model_rejected,
                TrainingFailed: self.on_training_failed,
            },
            [self._models, self._datasets],
            self.measure,
            self.due,
        )

    def measure(self) -> None:
        """Set the gauges of what each model waits for, and of what is wrong with its folder."""
        for model, problem in self._catalog.problems().items():
            INVALID.labels(model).set(problem is not None)
        for model, state in self._models.scan():
            if replace(state, decided=()) == ModelState():
                continue  # all was refused: the name may be anything, and a label may not
            IN_FLIGHT.labels(model).set(state.in_flight is not None)
            FEED_BROKEN.labels(model).set(state.broken_feed_since is not None)
            # Series that begin at their first event would hide it from increase().
            DECIDE_SECONDS.labels(model)
            for outcome in ("approved", "rejected", "failed"):
                TRAININGS.labels(model, outcome)

    def on_retrain_requested(self, event: Event[RetrainRequested]) -> Iterator[EventBody]:
        """Decide, once for each id."""
        body = event.body
        if governance.is_known(self._state(body.model), event.id):
            return
        request = Request(event.id, body.cause, body.event_time)
        yield from self._decide(event, body.model, [request], body.event_time)

    def on_drift_detected(self, event: Event[DriftDetected]) -> Iterator[EventBody]:
        """Ask for a retraining; but a feed that is broken must not be learnt."""
        body = event.body
        if body.kind == "broken_feed":
            self._put(body.model, governance.feed_broke(self._state(body.model), body.window.start))
            return
        yield RetrainRequested(
            model=body.model,
            cause="performance" if body.kind == "performance" else "drift",
            evidence=(event.id,),
            requested_by=SERVICE,
            event_time=body.window.end,
        )

    def on_drift_cleared(self, event: Event[DriftCleared]) -> Iterable[EventBody]:
        """A feed that was broken is whole again."""
        if event.body.kind == "broken_feed":
            state = self._state(event.body.model)
            self._put(event.body.model, governance.feed_mended(state))
        return ()

    def on_data_arrived(self, event: Event[DataArrived]) -> Iterator[EventBody]:
        """Count the rows; many new ones ask for a retraining."""
        body = event.body
        growth = self._datasets.get(body.dataset) or Growth(-1, 0)
        if body.table_version <= growth.table_version:
            return
        until = [t for t in (growth.until, body.event_time and body.event_time.end) if t]
        growth = Growth(body.table_version, body.total_rows, max(until, default=None))
        self._datasets.put(body.dataset, growth)
        for definition in self._catalog.trained_on(body.dataset):
            yield from self._release(event, definition.model, growth.until or event.time)
            state = self._state(definition.model)
            rules = rules_of(definition.policies.retrain)
            if governance.asks_by_volume(state, rules, growth.rows):
                self._put(definition.model, governance.volume_asked(state, growth.rows))
                yield RetrainRequested(
                    model=definition.model,
                    cause="volume",
                    evidence=(event.id,),
                    requested_by=SERVICE,
                    event_time=growth.until or event.time,
                )

    def on_rollout_step(self, event: Event[RolloutStep]) -> Iterator[EventBody]:
        """Follow the rollout; its end lets the requests in that it held back."""
        body = event.body
        state = governance.rollout_stepped(
            self._state(body.model),
            rollout_id=body.rollout_id,
            sequence=body.sequence,
            running=body.outcome == "running",
            versions=tuple(v.version for v in (body.champion, body.challenger) if v is not None),
        )
        self._put(body.model, state)
        yield from self._release(event, body.model, body.event_time)

    def on_model_approved(self, event: Event[ModelApproved]) -> Iterable[EventBody]:
        """The training is over, and a rollout is to come."""
        body = event.body
        state = governance.training_ended(self._state(body.model), event.causation_id)
        problems = list(contradictions(body.version.policies, body.version.features))
        if problems:
            # The deployer cannot roll it out: who waited for that would wait for ever.
            log.error(
                "version %s of %s is not awaited: %s",
                *(body.version.version, body.model, "; ".join(problems)),
            )
        else:
            state = governance.version_approved(state, body.version.version)
        self._put(body.model, state)
        return ()

    def on_model_rejected(self, event: Event[ModelRejected]) -> Iterable[EventBody]:
        """The training is over, and nothing comes of it."""
        body = event.body
        state = governance.training_ended(self._state(body.model), event.causation_id)
        self._put(body.model, state)
        return ()

    def on_training_failed(self, event: Event[TrainingFailed]) -> Iterable[EventBody]:
        """The training is over, unless the worker tries again by itself."""
        body = event.body
        if not body.will_retry:
            state = governance.training_failed(self._state(body.model), body.request_id)
            self._put(body.model, state)
        return ()

    def due(self, now: datetime) -> Iterator[Due]:
        """Trainings that told no end in time; what fails them has the id of their own failure."""
        for model, state in self._models.items():
            state, late = governance.overdue(state, now, self._in_flight_limit)
            self._put(model, state)
            if late is not None:
                failed = TrainingFailed(
                    model=model,
                    request_id=late.request_id,
                    stage="prepare",
                    error=f"no end was told within {self._in_flight_limit} of its acceptance",
                )
                yield Event(failed, f"/tailrace/{SERVICE}", now, id=late.decision_id), self.on_late

    def on_late(self, event: Event[TrainingFailed]) -> Iterator[EventBody]:
        """Tell that a training failed of which nobody has told anything."""
        body = event.body
        log.error("request %s of %s: %s; it is given up", body.request_id, body.model, body.error)
        when_committed(TRAININGS.labels(body.model, "failed").inc)
        self.on_training_failed(event)
        yield body

    def _state(self, model: str) -> ModelState:
        return self._models.get(model) or ModelState()

    def _put(self, model: str, state: ModelState) -> None:
        if state != self._models.get(model):
            self._models.put(model, state)

    def _release(self, event: Event, model: str, now: datetime | None) -> Iterator[EventBody]:
        """Decide again what was put off, when what it waited for is over."""
        definition = self._catalog.find(model)
        rows = self._growth(definition.training.dataset).rows if definition else 0
        state, requests = governance.release(self._state(model), rows)
        self._put(model, state)
        yield from self._decide(event, model, requests, now)

    def _decide(
        self, event: Event, model: str, requests: Iterable[Request], now: datetime | None
    ) -> Iterator[EventBody]:
        requests = list(requests)
        if not requests:
            return
        definition = self._catalog.find(model)
        rules = rules_of(definition.policies.retrain) if definition else None
        growth = self._growth(definition.training.dataset) if definition else Growth(-1, 0)
        problem = self._catalog.problems().get(model)
        for index, request in enumerate(requests):
            # What was put off is trained on the data of the day on which it is let in.
            request = replace(
                request, event_time=max(request.event_time, now or request.event_time)
            )
            state, decision, reason = governance.decide(
                self._state(model),
                request,
                rules,
                _not_beyond(growth.until, request.event_time),
                rows=growth.rows,
                decision_id=derived_id(event.id, RetrainDecided.type, index),
                problem=problem,
            )
            self._put(model, state)
            if rules is not None:
                # A name that nobody has described may be anything, and a label may not.
                when_committed(DECISIONS.labels(model, request.cause, decision).inc)
            yield RetrainDecided(
                model=model,
                request_id=request.id,
                decision=decision,
                reason=reason,
                cause=request.cause,
                event_time=request.event_time,
            )

    def _growth(self, dataset: str) -> Growth:
        return self._datasets.get(dataset) or Growth(-1, 0)


def rules_of(policy: RetrainPolicy) -> RetrainRules:
    """The policy as the domain has it."""
    fields: dict[str, Any] = dict(policy)
    return RetrainRules(**{**fields, "causes": frozenset(policy.causes)})


def _not_beyond(until: datetime | None, moment: datetime) -> datetime:
    """Event time that the data have not reached yet does not count.

    Without this, one request by hand that says 2030 would keep the cool-down alive until then.
    """
    return min(moment, until) if until else moment
