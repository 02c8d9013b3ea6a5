"""The registry against a real MLflow on sqlite, and the whole worker over it."""

import hashlib
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from event_schemas import (
    DataArrived,
    ModelApproved,
    ModelRejected,
    ModelTrained,
    RetrainDecided,
    RetrainRequested,
    RolloutStep,
    TrainingFailed,
)
from event_schemas.base import TimeRange
from servicekit.loops.job import JobLoop
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus
from trainer.adapters import sklearn_training
from trainer.adapters.mlflow_registry import MlflowRegistry
from trainer.app import build
from trainer.domain.failure import TrainingError
from trainer.handlers.worker import Worker
from trainer.settings import TrainerSettings

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(
        # MLflow's, SQLAlchemy's and Feast's own; nothing of ours.
        "ignore::DeprecationWarning",
        "ignore::PendingDeprecationWarning",
        "ignore::FutureWarning",
        "ignore::UserWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]

START = datetime(2013, 1, 1, tzinfo=UTC)
END = START + timedelta(days=41)


@pytest.fixture(scope="module")
def tracking_uri(tmp_path_factory):
    """A tracking store on sqlite whose artifacts lie in a folder; its tables are made here."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        for name in ("flight_delay", "late_ferry"):
            MlflowClient(uri, uri).create_experiment(name, f"file://{folder}/{name}")
    return uri


@pytest.fixture
def mlflow_registry(tracking_uri, tmp_path):
    return MlflowRegistry(tracking_uri, tmp_path / "work")


@pytest.fixture
def client(tracking_uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri, tracking_uri)


def test_a_result_becomes_a_run_and_a_numbered_version(
    mlflow_registry, client, define, make_result, tmp_path
):
    run_id = mlflow_registry.begin(define(), 'it\'s "one"', {"cause": "manual"})
    registered = mlflow_registry.register(run_id, define(), make_result())
    mlflow_registry.point("flight_delay", "champion", registered.version)
    mlflow_registry.conclude(run_id, "[]", failed=False)

    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["log_loss_high"] == 0.46
    assert run.data.tags["data.flights.version"] == "7"
    assert run.data.tags["request_id"] == 'it\'s "one"'
    names = {f.path for f in client.list_artifacts(run_id)}
    assert names == {"model.onnx", "reference.parquet", "outcome.json"}
    version = client.get_model_version_by_alias("flight_delay", "champion")
    assert (str(version.version), version.run_id) == (registered.version, run_id)
    mlflow_registry.point("flight_delay", "challenger", registered.version)
    for _ in range(2):
        mlflow_registry.withdraw("flight_delay", "challenger")
    assert set(client.get_registered_model("flight_delay").aliases) == {"champion"}
    assert registered.artifact.sha256 == hashlib.sha256(b"onnx").hexdigest()
    assert mlflow_registry.fetch(registered.artifact).read_bytes() == b"onnx"
    assert mlflow_registry.fetch(registered.reference).read_bytes() == b"parquet"

    second = mlflow_registry.begin(define(), "two", {})
    later = mlflow_registry.register(second, define(), make_result())
    assert int(later.version) == int(registered.version) + 1


def test_an_attempt_that_was_cut_off_is_superseded_with_its_version(
    mlflow_registry, client, define, make_result
):
    cut_off = mlflow_registry.begin(define(), "cut", {})
    version = mlflow_registry.register(cut_off, define(), make_result()).version
    again = mlflow_registry.begin(define(), "cut", {})
    assert client.get_run(cut_off).info.status == "KILLED"
    assert client.get_run(cut_off).data.tags["superseded"] == "true"
    assert client.get_model_version("flight_delay", version).tags == {"superseded": "true"}
    assert client.get_run(again).info.status == "RUNNING"


def test_an_artifact_with_another_digest_is_not_used(mlflow_registry, define, make_result):
    run_id = mlflow_registry.begin(define(), "digest", {})
    artifact = mlflow_registry.register(run_id, define(), make_result()).artifact
    with pytest.raises(TrainingError, match="was announced"):
        mlflow_registry.fetch(artifact.model_copy(update={"sha256": "f" * 64}))


def test_an_unknown_version_is_no_outage(mlflow_registry, define, make_result):
    run_id = mlflow_registry.begin(define(), "unknown", {})
    mlflow_registry.register(run_id, define(), make_result())
    with pytest.raises(TrainingError, match="RESOURCE_DOES_NOT_EXIST"):
        mlflow_registry.point("flight_delay", "champion", "9999")


AWAY = """
import sys
from pathlib import Path
from servicekit.errors import UnavailableError
from trainer.adapters.mlflow_registry import MlflowRegistry
try:
    MlflowRegistry("http://127.0.0.1:9", Path(), timeout_seconds=1).withdraw("flight_delay", "x")
except UnavailableError as error:
    print(str(error)[:31], sorted({"feast", "sklearn"} & set(sys.modules)))
"""


def test_a_server_that_is_away_is_an_outage_and_talking_to_it_imports_no_feast():
    """In a process of its own, since this one has everything imported."""
    environment = os.environ | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = subprocess.run(
        [sys.executable, "-c", AWAY], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "MLflow at http://127.0.0.1:9: A []\n"


class InlineTraining:
    """Trains in the process that asks for it."""

    def __init__(self, source):
        self._source = source

    def train(self, task):
        return sklearn_training.train(task, self._source)


class Turns:
    """The trainer as `build` wires it, over a bus in memory, turned by hand."""

    def __init__(self, settings, bus, training):
        self.governor, self.jobs = build(settings, bus, training=training)
        assert isinstance(self.governor, TransactionalLoop)
        assert isinstance(self.jobs, JobLoop)
        self.governor.open()
        self.jobs.open()

    def turn(self):
        while self.governor.step() + self.jobs.step():
            pass

    def close(self):
        self.governor.close()
        self.jobs.close()


@pytest.fixture
def bus():
    return MemoryBus()


@pytest.fixture
def trainer(ferries, tracking_uri, tmp_path, bus):
    settings = TrainerSettings(
        models_dir=ferries.models,
        lake_uri=ferries.source.lake_uri,
        feast_repo=ferries.source.feast_repo,
        mlflow_tracking_uri=tracking_uri,
        work_dir=tmp_path / "work",
    )
    trainer = Turns(settings, bus, InlineTraining(ferries.source))
    yield trainer
    trainer.close()
    assert not bus.messages("trainer.dead")


def test_from_a_request_to_a_version_that_serves_to_the_next_one(trainer, bus, client, edit):
    def arrived(version, rows, day):
        return DataArrived(
            dataset="ferries",
            table_uri="lake/ferries",
            table_version=version,
            rows=rows,
            total_rows=rows,
            event_time=TimeRange(start=START, end=START + timedelta(days=day)),
            contract_version="1",
        )

    def ask(day):
        asked = RetrainRequested(
            model="late_ferry",
            cause="manual",
            requested_by="ann",
            event_time=START + timedelta(days=day),
        )
        bus.publish(asked)
        trainer.turn()

    bus.publish(arrived(0, 1000, 20))
    trainer.turn()
    ask(20)
    (first,) = bus.events(ModelTrained)
    (approved,) = bus.events(ModelApproved)
    assert first.body.version == approved.body.version
    assert first.body.version.version == "1"
    assert first.body.data[0].event_time.end <= START + timedelta(days=20, seconds=1)
    assert [g.verdict for g in approved.body.gates] == ["passed"] * 3
    bus.publish(
        RolloutStep(
            model="late_ferry",
            rollout_id="r1",
            sequence=0,
            phase="stable",
            champion=approved.body.version,
            weight=0,
            salt="s",
            reason="first",
            outcome="promoted",
        )
    )
    trainer.turn()
    assert str(client.get_model_version_by_alias("late_ferry", "champion").version) == "1"

    # The same rows again, with a gate that nothing passes: measured against the champion.
    bus.publish(arrived(1, 2000, 40))
    edit(gate={"max_regression": -9.0, "margin_unit": "loss"})
    ask(40)
    (rejected,) = bus.events(ModelRejected)
    assert rejected.body.version.version == "2"
    gate = rejected.body.gates[-1]
    assert (gate.verdict, gate.threshold) == ("failed", -9.0)
    assert "that of version 1" in gate.reason

    edit(training={"label": "nothing"})
    ask(41)
    (failed,) = bus.events(TrainingFailed)
    assert failed.body.stage == "read"
    runs = client.search_runs([client.get_experiment_by_name("late_ferry").experiment_id])
    assert [run.info.status for run in reversed(runs)] == ["FINISHED", "FINISHED", "FAILED"]
    kept = client.list_artifacts(runs[0].info.run_id)
    assert [f.path for f in kept] == ["outcome.json"]
    decisions = [e.body.decision for e in bus.events(RetrainDecided)]
    assert decisions == ["accepted", "accepted", "accepted"]


def test_fault_1_8_a_worker_that_died_before_it_told_the_outcome_trains_the_same_again(
    ferries, mlflow_registry, client, wrap, fixed_champion, verdicts
):
    from trainer.adapters.model_folder import ModelFolders

    decided = wrap(
        RetrainDecided(
            model="late_ferry",
            request_id="again",
            decision="accepted",
            reason="r",
            cause="manual",
            event_time=END,
        )
    )

    def worker():
        return Worker(
            ModelFolders(ferries.models),
            fixed_champion(),
            verdicts,
            InlineTraining(ferries.source),
            mlflow_registry,
            mlflow_registry,
        )

    (first, _), (second, _) = (worker().on_retrain_decided(decided) for _ in range(2))
    assert isinstance(first, ModelTrained)
    assert isinstance(second, ModelTrained)
    assert second.version.artifact.sha256 == first.version.artifact.sha256
    there = client.get_model_version("late_ferry", first.version.version)
    assert there.tags == {"superseded": "true"}
