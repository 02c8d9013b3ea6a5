"""Settings of the trainer, read from the environment."""

from pathlib import Path

from pydantic import Field, model_validator

from stores.artifacts import ArtifactSettings
from stores.storage import StorageUri


class TrainerSettings(ArtifactSettings):
    """Settings of the trainer; the environment variable is the name in capitals."""

    http_port: int = Field(default=18082, ge=0, le=65535)
    """Port for health and metrics; 0 takes a free one."""
    replica_slots: int = Field(default=1, ge=1, le=1)
    """How many replicas there are: the decisions of all models lie in one partition, so 1."""
    models_dir: Path = Path("models")
    """Folder with one folder a model."""
    lake_uri: StorageUri = ".tailrace/lake"
    """Folder or s3:// URI that holds the Delta tables."""
    feast_repo: StorageUri = ".tailrace/feast"
    """Folder or s3:// prefix that holds Feast's registry.db."""
    mlflow_tracking_uri: str = "http://127.0.0.1:15000"
    """MLflow tracking server and model registry."""
    mlflow_timeout_seconds: float = Field(default=30.0, gt=0)
    """Time that MLflow has to answer one request."""
    work_dir: Path = Path(".tailrace/trainer")
    """Folder for copies of champions."""
    training_timeout_seconds: float = Field(default=1800.0, gt=0)
    """Time that one training may take."""
    in_flight_limit_seconds: float = Field(default=86400.0, gt=0)
    """Wall time after which an accepted training that told no end counts as failed, so that the
    model can be trained again; longer than an outage of the lake or MLflow may last."""
    omp_num_threads: int = Field(default=1, ge=1)
    """Threads of one training."""
    skops_trusted_types: tuple[str, ...] = ()
    """Types that a skops file may hold beside those of `stores.skops`, as JSON; whoever
    names one here lets artifacts build objects of it."""

    @model_validator(mode="after")
    def _a_training_may_take_its_time(self) -> "TrainerSettings":
        if self.in_flight_limit_seconds <= self.training_timeout_seconds:
            raise ValueError(
                f"IN_FLIGHT_LIMIT_SECONDS={self.in_flight_limit_seconds:g} is not longer than"
                f" TRAINING_TIMEOUT_SECONDS={self.training_timeout_seconds:g}: a training that"
                " still computes would be given up; raise the first"
            )
        return self
