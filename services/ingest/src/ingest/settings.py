"""The settings of ingest."""

from pathlib import Path

from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings
from stores.storage import StorageUri


class IngestSettings(ServiceSettings):
    """Where the lake lies, and how much is taken at once."""

    http_port: int = Field(default=18081, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    lake_uri: StorageUri = ".tailrace/lake"
    """Folder or URL (s3://…) under which the Delta tables lie."""
    models_dir: Path = Path("models")
    """Folder of the models: `*/datasets/*.yaml` are the contracts, `*/features.py` the features."""
    feast_repo: StorageUri = ".tailrace/feast"
    """Folder or s3:// prefix that holds Feast's `registry.db`."""
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:16379/0")
    """URL of the online store, redis:// or rediss://."""
    max_batch: int = Field(default=5000, ge=1, le=100_000)
    """Records that one commit of the lake takes at most."""
    linger_seconds: float = Field(default=0.5, ge=0, le=60)
    """How long a batch waits for more records: longer makes fewer and larger commits, and features
    that much older."""
    compact_files: int = Field(default=64, ge=2, le=10_000)
    """Commits of a table after which their small files are made one."""
    compact_bytes: int = Field(default=8 * 1024 * 1024, ge=64 * 1024, le=2**31)
    """Size from which a file of a table counts as no small one any more, and is left as it is: more
    makes fewer files, and compactions that take longer and more memory."""
    max_records_per_request: int = Field(default=5000, ge=1, le=1_000_000)
    """Records or labels that one request may hold."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1)
    """Size that the body of one request may have."""
    max_drained_bytes: int = Field(default=32 * 1024 * 1024, ge=0)
    """Bytes over `max_body_bytes` that are read and thrown away, so that the sender of a body that
    is too large gets the answer 413; of a larger body the connection is closed at once."""
    max_record_bytes: int = Field(default=256 * 1024, ge=1, le=900 * 1024)
    """Size that one record may have as JSON; a Kafka message holds at most 1 MB."""
    recent_ids: int = Field(default=200_000, ge=0)
    """Newest rows of each table among which a repeated event id is recognised."""
    max_event_entries: int = Field(default=200, ge=1, le=10_000)
    """Reasons that data.quarantined lists, columns that data.arrived profiles, and unknown columns
    of one record that are told one by one; the others are counted."""
    max_future_seconds: float = Field(default=86_400.0, ge=0)
    """How far ahead of wall time an event time may lie before the row is quarantined."""
    max_online_future_seconds: float = Field(default=300.0, ge=0)
    """How far ahead of wall time a row may lie to be written online as well: a later one would keep
    newer rows of its entity out until its time has come."""
    max_label_future_seconds: float = Field(default=300.0, ge=0)
    """How far ahead of wall time a label's `observed_at` may lie: the latest one is the truth."""
    labels_of_any_model: bool = False
    """Whether labels of models without a folder in `models_dir` are taken as well."""
    retry_after_seconds: int = Field(default=1, ge=1)
    """`Retry-After` of an answer 503."""
