"""Wires the trainer: importing this does nothing, `build` opens nothing but the model folders."""

from collections.abc import Sequence
from datetime import timedelta

from servicekit.bus import Bus
from servicekit.clock import Clock
from servicekit.component import Component
from servicekit.loops.job import JobLoop
from servicekit.loops.transactional import TransactionalLoop
from trainer.adapters.child_training import ChildTraining
from trainer.adapters.delta_history import HistorySource
from trainer.adapters.mlflow_registry import MlflowRegistry
from trainer.adapters.model_folder import ModelFolders
from trainer.adapters.rollout_champions import RolloutChampions
from trainer.adapters.topic_verdicts import TopicVerdicts
from trainer.handlers.governor import SERVICE, Governor
from trainer.handlers.worker import Worker
from trainer.ports import Catalog, Champions, Runs, Training, Versions
from trainer.settings import TrainerSettings


def build(
    settings: TrainerSettings,
    bus: Bus,
    *,
    catalog: Catalog | None = None,
    champions: Champions | None = None,
    training: Training | None = None,
    runs: Runs | None = None,
    versions: Versions | None = None,
    clock: Clock | None = None,
) -> Sequence[Component]:
    """The governor's loop, the worker's loop and, unless another training is given, the child.

    Raises:
        ModelFolderError: a model.yaml is wrong.
    """
    catalog = catalog or ModelFolders(settings.models_dir)
    registry = MlflowRegistry(
        settings.mlflow_tracking_uri,
        settings.work_dir,
        timeout_seconds=settings.mlflow_timeout_seconds,
        limits=settings.artifact_limits,
    )
    components: list[Component] = []
    if training is None:
        training = ChildTraining(
            HistorySource(settings.lake_uri, settings.feast_repo),
            threads=settings.omp_num_threads,
            timeout_seconds=settings.training_timeout_seconds,
        )
        components.append(training)
    worker = Worker(
        catalog,
        champions or RolloutChampions(bus),
        TopicVerdicts(bus),
        training,
        runs or registry,
        versions or registry,
        trusted_types=settings.skops_trusted_types,
        clock=clock,
    )
    governed = Governor(
        catalog, in_flight_limit=timedelta(seconds=settings.in_flight_limit_seconds)
    ).processor()
    governor = TransactionalLoop(
        governed,
        bus,
        clock=clock,
        slot=settings.replica_slot,
        slots=settings.replica_slots,
        max_batch=settings.max_batch,
    )
    jobs = JobLoop(
        SERVICE,
        worker.jobs(),
        bus,
        group=f"{SERVICE}-worker",
        letters_elsewhere=governed.topics,
        member=str(settings.replica_slot),
        clock=clock,
    )
    return [governor, jobs, *components]
