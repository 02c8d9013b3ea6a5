"""Trains what was accepted, judges it, registers it, and moves the aliases."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict

from event_schemas import (
    EventBody,
    ModelApproved,
    ModelRejected,
    ModelTrained,
    RetrainDecided,
    RolloutStep,
    TrainingFailed,
)
from event_schemas.model import GateResult, Metric, ModelVersion
from event_schemas.task import BINARY
from servicekit.clock import Clock, SystemClock
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.event import Event
from servicekit.processor import Handler
from servicekit.redaction import redacted
from trainer.domain.failure import TrainingError
from trainer.domain.gates import Gate, all_passed
from trainer.handlers.metrics import DECIDE_SECONDS, TRAININGS
from trainer.ports import (
    Catalog,
    Champions,
    ModelDefinition,
    Runs,
    Training,
    TrainingTask,
    Verdicts,
    Versions,
)

log = logging.getLogger(__name__)

_OUTCOMES: Mapping[type[EventBody], str] = {
    ModelApproved: "approved",
    ModelRejected: "rejected",
    TrainingFailed: "failed",
}


class Worker:
    """Its effects leave Kafka, so each is idempotent by the id of the request."""

    def __init__(
        self,
        catalog: Catalog,
        champions: Champions,
        verdicts: Verdicts,
        training: Training,
        runs: Runs,
        versions: Versions,
        *,
        trusted_types: tuple[str, ...] = (),
        clock: Clock | None = None,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._champions = champions
        self._verdicts = verdicts
        self._training = training
        self._runs = runs
        self._versions = versions
        self._trusted_types = trusted_types
        self._clock = clock or SystemClock()
        self._stopwatch = stopwatch

    def jobs(self) -> Mapping[type[EventBody], Handler]:
        """The handlers as the job loop takes them."""
        return {RetrainDecided: self.on_retrain_decided, RolloutStep: self.on_rollout_step}

    def on_retrain_decided(self, event: Event[RetrainDecided]) -> Iterable[EventBody]:
        """Train what was accepted; a failure that trying again would not mend is an event."""
        decided = event.body
        if decided.decision != "accepted":
            return ()
        try:
            bodies = self._outcome(event)
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            # A refusal or a bug must not leave the request in flight for ever.
            if not isinstance(error, TrainingError):
                log.exception("training of %s failed", decided.model)
            bodies = [_failed(decided, error)]
        if bodies:
            TRAININGS.labels(decided.model, _OUTCOMES[type(bodies[-1])]).inc()
            waited = self._clock.now() - event.time
            DECIDE_SECONDS.labels(decided.model).observe(max(0.0, waited.total_seconds()))
        return bodies

    def on_rollout_step(self, event: Event[RolloutStep]) -> Iterable[EventBody]:
        """Let the aliases name who answers now: a rollback moves them as a promotion does."""
        step = event.body
        self._versions.point(step.model, "champion", step.champion.version)
        if step.challenger is not None:
            self._versions.point(step.model, "challenger", step.challenger.version)
        else:
            self._versions.withdraw(step.model, "challenger")
        return ()

    def _outcome(self, event: Event[RetrainDecided]) -> list[EventBody]:
        """What comes of an accepted request; nothing when that was told before.

        Kafka alone says what was told: whoever may write to MLflow approves no version by it. A
        training that ended and was not told is done again, and its first run is superseded.
        """
        decided = event.body
        if self._verdicts.told(event.id):
            log.info("request %s was served before", decided.request_id)
            return []
        definition = self._catalog.find(decided.model)
        problem = self._catalog.problems().get(decided.model)
        if definition is None and problem is None:
            raise TrainingError("prepare", "its model.yaml has gone")
        if definition is None or problem is not None:
            # An older definition is not trained in silence: whoever changed it wants the new one.
            raise TrainingError("prepare", f"its folder is invalid: {problem}")
        return self._serve(definition, decided)

    def _serve(self, definition: ModelDefinition, decided: RetrainDecided) -> list[EventBody]:
        tags = {"cause": decided.cause, "until": decided.event_time.isoformat()}
        run_id = self._runs.begin(definition, decided.request_id, tags)
        try:
            bodies: list[EventBody] = self._attempt(definition, decided, run_id)
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            if not isinstance(error, TrainingError):
                log.exception("training of %s failed", decided.model)
            bodies = [_failed(decided, error)]
        failed = isinstance(bodies[0], TrainingFailed)
        self._runs.conclude(run_id, write_outcome(bodies), failed=failed)
        return bodies

    def _attempt(
        self, definition: ModelDefinition, decided: RetrainDecided, run_id: str
    ) -> list[EventBody]:
        started = self._stopwatch()
        champion = self._champions.current(definition.model)
        task = TrainingTask(
            definition,
            until=decided.event_time,
            champion=self._versions.fetch(champion.artifact) if champion else None,
            champion_format=champion.artifact.format if champion else "onnx",
            champion_features=champion.features if champion else (),
            champion_target=champion.target if champion else BINARY,
            champion_name=f"version {champion.version}" if champion else "",
            champion_until=champion.trained_at if champion else None,
            trusted_types=self._trusted_types,
        )
        result = self._training.train(task)
        if result.why_not_onnx:
            log.warning("%s is served by its pipeline: %s", definition.model, result.why_not_onnx)
        registered = self._versions.register(run_id, definition, result)
        version = ModelVersion(
            model=definition.model,
            version=registered.version,
            run_id=run_id,
            artifact=registered.artifact,
            reference=registered.reference,
            task=result.target.task,
            classes=result.target.classes,
            loss=result.target.loss,
            answer_edges=result.answer_edges,
            features=definition.features,
            reference_loss=result.loss_mean,
            reference_loss_std=result.loss_std,
            trained_at=decided.event_time,
            policies=definition.policies,
        )
        trained = ModelTrained(
            model=definition.model,
            version=version,
            data=result.data,
            metrics=tuple(Metric(**asdict(measure)) for measure in result.measures),
            parity=result.parity,
            why_not_onnx=result.why_not_onnx,
            seed=definition.training.seed,
            duration_seconds=self._stopwatch() - started,
        )
        gates = tuple(map(_gate_result, result.gates))
        if not all_passed(result.gates):
            return [trained, ModelRejected(model=definition.model, version=version, gates=gates)]
        self._versions.point(definition.model, "challenger", version.version)
        return [
            trained,
            ModelApproved(
                model=definition.model, version=version, gates=gates, approved_by="policy"
            ),
        ]


def write_outcome(bodies: Sequence[EventBody]) -> str:
    """The bodies as text, for people who look at the run."""
    return json.dumps([{"type": b.type, "body": b.model_dump(mode="json")} for b in bodies])


def _gate_result(gate: Gate) -> GateResult:
    fields = asdict(gate)
    return GateResult(gate=fields.pop("name"), **fields)


def _failed(decided: RetrainDecided, error: Exception) -> TrainingFailed:
    expected = isinstance(error, TrainingError)
    return TrainingFailed(
        model=decided.model,
        request_id=decided.request_id,
        stage=error.stage if expected else "prepare",
        error=f"{type(error).__name__}: {redacted(error)}"[:2000],
    )
