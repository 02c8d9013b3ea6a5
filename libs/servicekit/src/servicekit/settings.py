"""Settings that every service has, read from the environment."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Base of a service's settings; the environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    kafka_bootstrap_servers: str = "127.0.0.1:19092"
    """Comma-separated `host:port` of some Kafka brokers."""
    kafka_partitions: int = Field(default=1, ge=1, le=256)
    """Partitions of the topics that carry predictions and labels, when this service makes them."""
    http_host: str = "127.0.0.1"
    """Address to listen on; loopback unless said otherwise."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is logged."""
    otel_exporter_otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP collector; without it no trace leaves the process."""
    replica_slot: int = Field(default=0, ge=0)
    """Which replica this is, from 0; it is the static member id and owns its share of partitions."""
    replica_slots: int = Field(default=1, ge=1)
    """How many replicas there are."""
    shutdown_grace_seconds: float = Field(default=15.0, gt=0)
    """Time to finish what was begun when the process is told to stop."""
    max_batch: int = Field(default=500, ge=1, le=100_000)
    """Messages handled in one transaction."""
