"""Settings of the two processes of the drift monitor."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from servicekit.settings import ServiceSettings
from stores.artifacts import ArtifactSettings


class WindowsSettings(ArtifactSettings):
    """Settings of `drift-monitor windows`."""

    http_port: int = Field(default=18084, ge=0, le=65535)
    """Port of /livez, /readyz and /metrics; 0 takes a free one."""
    mlflow_tracking_uri: str = "http://127.0.0.1:15000"
    """MLflow server that serves the references of the versions."""
    report_dir: Path = Path(".tailrace/drift-reports")
    """Folder of the drift reports."""
    max_event_time_jump: timedelta = Field(default=timedelta(days=7), gt=timedelta(0))
    """How far ahead of the watermark a single prediction may move it."""
    jump_votes: int = Field(default=3, ge=1)
    """Predictions further ahead that together move the watermark."""
    back_votes: int = Field(default=100, ge=1, le=1000)
    """Predictions in a row, all from before what is kept, after which event time is set back, if
    fewer than that supported it: old predictions that are sent again set nothing back."""
    max_waiting_labels: int = Field(default=100_000, ge=1)
    """Labels of one model that wait for their prediction; one more lets the oldest go."""
    max_label_future_seconds: float = Field(default=300.0, ge=0)
    """How far ahead of wall time a label's `observed_at` may lie: the latest one is the truth."""
    remind_windows: int = Field(default=4, ge=1)
    """Bad windows after which a drift that lasts is detected again."""
    replica_slots: int = Field(default=1, ge=1, le=1)
    """How many replicas there are: a model's windows are counted in one place, so 1."""


class WatchSettings(ServiceSettings):
    """Settings of `drift-monitor watch`."""

    http_port: int = Field(default=18085, ge=0, le=65535)
    """Port of /livez, /readyz, /metrics and /v1/live; 0 takes a free one."""
    watch_group: str = "drift-monitor-watch"
    """Consumer group."""
    watch_scores: int = Field(default=1000, ge=50)
    """Newest scores of a version that make its live drift score."""
    watch_baseline: int = Field(default=1000, ge=50)
    """First scores of a version, which the newest are compared with."""
    watch_delta: float = Field(default=0.002, gt=0, lt=1)
    """Confidence parameter of ADWIN: smaller suspects less."""
    watch_cooldown: timedelta = Field(default=timedelta(days=3), gt=timedelta(0))
    """Event time between two suspicions of one version."""
    watch_max_lag: int = Field(default=20_000, ge=100)
    """Predictions behind from which only a sample of them is looked at."""
    watch_sample: float = Field(default=0.1, gt=0, le=1)
    """Share of the predictions that is looked at while it lags."""
