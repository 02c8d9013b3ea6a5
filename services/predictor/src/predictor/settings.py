"""Settings of the predictor and of batch scoring, read from the environment."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from stores.artifacts import ArtifactSettings
from stores.storage import StorageUri


class PredictorSettings(ArtifactSettings):
    """Where models and features come from, and how much work is taken at once."""

    http_port: int = Field(default=18080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """Port for the Open Inference Protocol over gRPC; 0 takes a free one, unset: none. Over HTTP it
    is served in any case."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that share the ports, at most one a core; each has models, spool, log numbers and
    every limit for itself. One that dies is replaced."""
    worker_silence_seconds: float = Field(default=30.0, gt=1)
    """A worker whose event loop gives no sign of life for so long is killed and replaced."""
    mlflow_tracking_uri: str = "http://127.0.0.1:15000"
    """Where the files of model versions are downloaded from."""
    model_cache: Path | None = None
    """Folder that keeps model files over restarts, by digest; unset: a temporary one."""
    open_patience_seconds: float = Field(default=5.0, gt=0)
    """How long checking a model's file, and then opening it, may take while the requests leave them
    nothing of the core; then they get a share of it, and requests wait at times."""
    open_memory_bytes: int = Field(default=768 * 1024 * 1024, ge=64 * 1024 * 1024)
    """Most memory that a model's file may take to be opened and to answer a row. It is opened in a
    process of its own first, and a file that takes more is not served."""
    open_seconds: float = Field(default=20.0, ge=1)
    """Most processor time that this may take, in whole seconds; a file that takes more is not
    served."""
    load_patience_seconds: float = Field(default=2.0, ge=0)
    """How long a version that is loaded is waited for before the steps of other models go on."""
    ready_patience_seconds: float = Field(default=60.0, ge=0)
    """How long after a start a model that cannot be loaded for now keeps `/readyz` at 503 while
    others can answer; for one that can never be loaded nobody waits."""
    feast_repo: StorageUri | None = None
    """Folder or s3:// prefix of the Feast registry; unset: only models without stored features
    are served."""
    redis_url: str = "redis://127.0.0.1:16379/0"
    """The online feature store, read directly in the layout in which Feast writes it."""
    feast_online_store: dict[str, Any] | None = None
    """Feast's configuration of another online store, as JSON; it is then read through Feast."""
    feature_timeout_seconds: float = Field(default=0.5, gt=0)
    """Longest read of the feature store; then it counts as away."""
    feature_pause_seconds: float = Field(default=1.0, ge=0)
    """How long the feature store is left alone after it was away."""
    last_known_values: int = Field(default=100_000, ge=1)
    """Stored values that are remembered for features that may have their last known one
    (`last_known_seconds`); about 300 bytes each, and those not asked for the longest give way."""
    cache_url: str | None = None
    """Redis or Valkey for the prediction cache of models whose policy has `serving.cache_seconds`;
    unset: that of REDIS_URL."""
    cache_timeout_seconds: float = Field(default=0.05, gt=0)
    """Longest read or write of the prediction cache; then it counts as away, and models run."""
    cache_pause_seconds: float = Field(default=1.0, ge=0)
    """How long the prediction cache is left alone after it was away."""
    max_body_bytes: int = Field(default=1024 * 1024, ge=64)
    """Largest body of a request, in bytes."""
    max_entity_characters: int = Field(default=512, ge=1)
    """Longest `entity_id`."""
    max_in_flight: int = Field(default=512, ge=1)
    """Predictions that may be under way; further ones are answered 503. Two full batches keep the
    processor busy; more only wait, and their memory costs those that are answered."""
    max_model_share: float = Field(default=0.8, gt=0, le=1)
    """Share of MAX_IN_FLIGHT that one model may take while all others are idle; several busy ones
    take less each, and what is over is answered 429. It is for a predictor with several models: one
    alone may take all."""
    max_refusals_per_second: int = Field(default=2000, ge=0)
    """Refusals for overload that are sent in a second; further ones wait their turn, so that
    callers who try again at once do not take the processor from those who are answered; 0: no
    bound."""
    request_timeout_seconds: float = Field(default=30.0, gt=0)
    """Deadline of a request that does not say one in X-Request-Timeout; when it has waited for
    longer, it is answered 503 and not computed."""
    max_request_timeout_seconds: float = Field(default=60.0, gt=0)
    """Most that X-Request-Timeout may ask for; more is taken as this."""
    max_instances: int = Field(default=256, ge=1)
    """Most instances in one request, at most `max_in_flight`."""
    score_requested: bool = False
    """Whether requests that come over Kafka (`score.requested`) are answered too; the replicas, and
    their workers, share them as one consumer group."""
    score_requested_batch: int = Field(default=256, ge=1)
    """Most such requests under way at once, at most `max_in_flight`."""
    score_requested_member: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{1,100}$")
    """Name of this replica in that group, of no other and the same after a restart: one that was
    killed then has its requests back at once. Unset: replicas come and go, and the requests of one
    that was killed go to others after 10 s. The embedded broker, which misses nobody, needs it."""
    max_rows: int = Field(default=256, ge=1)
    """Requests in one run of a model."""
    skops_workers: int = Field(default=1, ge=1, le=64)
    """Processes for versions that are no ONNX file; they start with the first such version."""
    skops_timeout_seconds: float = Field(default=5.0, gt=0)
    """Longest run of such a version over one batch; then its process is replaced."""
    skops_max_batches: int = Field(default=32, ge=1)
    """Batches of such versions that run or wait; those beyond are answered 503."""
    skops_trusted_types: tuple[str, ...] = ()
    """Types that a skops file may hold beside those of `stores.skops`, as JSON; whoever
    names one here lets artifacts build objects of it."""
    max_event_time_ahead_seconds: float = Field(default=300.0, ge=0)
    """How far a request's `event_time` may lie in the future: later ones would close every window
    of the drift monitor."""
    answer_after: Literal["spool", "brokers", "queue"] | None = None
    """What has to have a prediction's log record before its answer goes: the spool on disk, the
    brokers, or the queue to them, which a killed process takes along; unset: the spool where
    SPOOL_DIR is set, else the brokers."""
    spool_dir: Path | None = None
    """Folder on a local disk that keeps predictions until the brokers have them, over restarts;
    processes that share it keep out of each other's way."""
    spool_max_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024 * 1024)
    """Most that the spool of a process may hold, in bytes; a prediction takes about 1,000."""
    spool_full: Literal["refuse", "drop"] = "refuse"
    """What to do when the spool or its disk is full: answer 503, or give predictions that the log
    will miss."""
    log_deadline_seconds: float = Field(default=3.0, gt=0)
    """Longest wait for the brokers to acknowledge a prediction, after which its request is answered
    503; and longest time to empty the spool when told to stop."""
    shadow_max_share: float = Field(default=1.0, ge=0, le=1)
    """Most of the champion's predictions that a challenger in shadow scores here, as a share; a
    rollout may ask for less. 0: none."""
    shadow_max_queue: int = Field(default=1000, ge=1)
    """Predictions that may wait to be scored in shadow; further ones are dropped and counted."""
    shadow_max_load: float = Field(default=0.2, gt=0, le=1)
    """Most of a process's time that models in shadow may take, as a share."""
    override_token: SecretStr | None = Field(default=None, min_length=16)
    """What testers send as `Authorization: Bearer` with `X-Tailrace-Arm`, to choose the arm that
    answers; unset: nobody may."""
    retry_after_seconds: int = Field(default=1, ge=1)
    """What a 503 tells the caller to wait, and the least that one for overload does."""
    max_retry_after_seconds: int = Field(default=30, ge=1)
    """Most that a 429, or a 503 for overload, tells the caller to wait: as long as what is under
    way takes at the measured rate."""

    @model_validator(mode="after")
    def _the_largest_batches_can_be_under_way(self) -> Self:
        batches = {"MAX_INSTANCES": self.max_instances}
        if self.score_requested:
            batches["SCORE_REQUESTED_BATCH"] = self.score_requested_batch
        for name, most in batches.items():
            if most > self.max_in_flight:
                raise ValueError(
                    f"{name}={most} is more than MAX_IN_FLIGHT={self.max_in_flight}, so the largest"
                    " could never be answered: lower the first or raise the second"
                )
        return self

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> Self:
        for least, most in (
            ("request_timeout_seconds", "max_request_timeout_seconds"),
            ("retry_after_seconds", "max_retry_after_seconds"),
        ):
            if getattr(self, least) > getattr(self, most):
                raise ValueError(
                    f"{least.upper()}={getattr(self, least):g} is more than"
                    f" {most.upper()}={getattr(self, most):g}: lower the first or raise the second"
                )
        return self

    @model_validator(mode="after")
    def _the_spool_has_a_place(self) -> Self:
        if self.answer_after == "spool" and self.spool_dir is None:
            raise ValueError(
                "ANSWER_AFTER=spool, and SPOOL_DIR is not set: set it to a folder on a local disk"
            )
        return self

    @property
    def spooled(self) -> Path | None:
        """The folder of the spool; None when records go straight to the brokers."""
        return self.spool_dir if self.answer_after in ("spool", None) else None


class ScoreSettings(PredictorSettings):
    """Where the tables lie, beside all that the predictor knows."""

    lake_uri: StorageUri = ".tailrace/lake"
    """Folder or URL (s3://…) under which the Delta tables lie."""
