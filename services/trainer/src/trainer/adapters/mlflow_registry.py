"""Experiments and model versions in MLflow.

An experiment and a registered model have the model's name. A run serves one request; its files are
logged as plain artifacts, since readers load them by URI and digest and need no MLflow flavour.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from event_schemas.model import Artifact
from servicekit.errors import UnavailableError
from servicekit.redaction import redacted
from stores.artifacts import ArtifactError, Limits
from stores.mlflow import fetch, set_up
from trainer.domain.failure import TrainingError
from trainer.ports import ModelDefinition, Registered, TrainingResult

REFERENCE = "reference.parquet"
OUTCOME = "outcome.json"
OUTAGES = frozenset({"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"})
"""Codes of MLflow under which trying again helps; it reports a lost connection as the first."""
MAX_TAG = 5000


class MlflowRegistry:
    """`Runs` and `Versions` on one tracking server; the client is made at the first call."""

    def __init__(
        self,
        tracking_uri: str,
        work_dir: Path,
        *,
        timeout_seconds: float = 30.0,
        limits: Limits | None = None,
    ) -> None:
        self._tracking_uri = tracking_uri
        self._work_dir = work_dir
        self._timeout_seconds = timeout_seconds
        self._limits = limits or Limits()
        self._made: Any = None

    def begin(self, definition: ModelDefinition, request_id: str, tags: Mapping[str, str]) -> str:
        """See `Runs.begin`."""
        with self._outages():
            for run in self._runs(definition.model, request_id):
                self._supersede(run.info.run_id)
            run = self._client.create_run(
                self._experiment(definition.model, create=True),
                run_name=f"{definition.model} {tags.get('cause', '')}".strip(),
                tags={
                    **{name: value[:MAX_TAG] for name, value in tags.items()},
                    "request_id": request_id[:MAX_TAG],
                    "request_key": _key(request_id),
                    "definition_sha256": definition.digest,
                },
            )
            return run.info.run_id

    def conclude(self, run_id: str, outcome: str, *, failed: bool) -> None:
        """See `Runs.conclude`: the tag comes last, so an outcome that has it is whole."""
        with self._outages():
            self._client.log_text(run_id, outcome, OUTCOME)
            self._client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
            self._client.set_tag(run_id, "concluded", "true")

    def register(
        self, run_id: str, definition: ModelDefinition, result: TrainingResult
    ) -> Registered:
        """See `Versions.register`."""
        from mlflow.entities import Metric, Param, RunTag

        numbers = {
            **{m.name: m.value for m in result.measures},
            **{f"{m.name}_low": m.low for m in result.measures},
            **{f"{m.name}_high": m.high for m in result.measures},
            "parity": result.parity,
            "train_rows": result.train_rows,
            "holdout_rows": result.holdout_rows,
            **{f"seconds_{stage}": seconds for stage, seconds in result.stages.items()},
        }
        plan = definition.training
        params = {
            "seed": plan.seed,
            "dataset": plan.dataset,
            "task": result.target.task,
            "loss": result.target.loss.name,
            "holdout": str(plan.holdout),
            "features": ",".join(f.name for f in definition.features)[:MAX_TAG],
        }
        tags = {f"data.{d.dataset}.version": str(d.table_version) for d in result.data}
        if result.why_not_onnx:
            tags["why_not_onnx"] = result.why_not_onnx[:MAX_TAG]
        tags |= {f"gate.{g.name}": f"{g.verdict}: {g.reason}"[:MAX_TAG] for g in result.gates}
        with self._outages():
            self._client.log_batch(
                run_id,
                [Metric(name, float(value), 0, 0) for name, value in numbers.items()],
                [Param(name, str(value)) for name, value in params.items()],
                [RunTag(name, value) for name, value in tags.items()],
            )
            artifact = f"model.{result.format}"
            files = {artifact: result.artifact, REFERENCE: result.reference}
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    (Path(folder) / name).write_bytes(content)
                    self._client.log_artifact(run_id, str(Path(folder) / name))
            base = self._client.get_run(run_id).info.artifact_uri
            self._ensure_model(definition.model)
            version = self._client.create_model_version(
                definition.model, source=f"{base}/{artifact}", run_id=run_id
            )
        return Registered(
            version=str(version.version),
            artifact=Artifact(
                uri=f"{base}/{artifact}", sha256=_sha256(result.artifact), format=result.format
            ),
            reference=Artifact(
                uri=f"{base}/{REFERENCE}", sha256=_sha256(result.reference), format="parquet"
            ),
        )

    def point(self, model: str, alias: str, version: str) -> None:
        """See `Versions.point`."""
        with self._outages():
            self._client.set_registered_model_alias(model, alias, version)

    def withdraw(self, model: str, alias: str) -> None:
        """See `Versions.withdraw`."""
        with self._outages():
            if alias in self._client.get_registered_model(model).aliases:
                self._client.delete_registered_model_alias(model, alias)

    def fetch(self, artifact: Artifact) -> Path:
        """See `Versions.fetch`; a file is downloaded once."""
        with self._outages():
            return fetch(
                self._tracking_uri,
                artifact.uri,
                artifact.sha256,
                self._work_dir,
                limits=self._limits,
            ).resolve()

    @property
    def _client(self) -> Any:
        if self._made is None:
            set_up(timeout_seconds=self._timeout_seconds)
            from mlflow import MlflowClient

            self._made = MlflowClient(self._tracking_uri, self._tracking_uri)
        return self._made

    def _runs(self, model: str, request_id: str) -> list[Any]:
        experiment = self._experiment(model, create=False)
        if experiment is None:
            return []
        where = f"tags.request_key = '{_key(request_id)}'"
        return list(self._client.search_runs([experiment], where))

    def _experiment(self, model: str, *, create: bool) -> str | None:
        found = self._client.get_experiment_by_name(model)
        if found is not None:
            return found.experiment_id
        return self._client.create_experiment(model) if create else None

    def _ensure_model(self, model: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _supersede(self, run_id: str) -> None:
        """An attempt that was cut off: neither it nor its version counts."""
        self._client.set_tag(run_id, "superseded", "true")
        self._client.set_terminated(run_id, "KILLED")
        for version in self._client.search_model_versions(f"run_id = '{run_id}'"):
            self._client.set_model_version_tag(version.name, version.version, "superseded", "true")

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Raise what MLflow raises as an outage, or as the end of this training."""
        _ = self._client
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException

        try:
            yield
        except (RequestException, ConnectionError, TimeoutError) as error:
            raise UnavailableError(redacted(f"MLflow at {self._tracking_uri}: {error}")) from error
        except ArtifactError as error:
            raise TrainingError("evaluate", str(error)) from error
        except MlflowException as error:
            if error.error_code in OUTAGES:
                raise UnavailableError(
                    redacted(f"MLflow at {self._tracking_uri}: {error}")
                ) from error
            raise TrainingError(
                "register", redacted(f"MLflow: {error.error_code}: {error}")
            ) from error


def _key(request_id: str) -> str:
    """An id that a filter of MLflow can hold, whatever the request's id holds."""
    return _sha256(request_id.encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
