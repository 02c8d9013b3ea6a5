"""The deployer's settings."""

from pydantic import Field

from servicekit.settings import ServiceSettings


class DeployerSettings(ServiceSettings):
    """What every service has, for one replica."""

    http_port: int = Field(default=18083, ge=0, le=65535)
    """Port of /livez, /readyz and /metrics; 0 takes a free one."""
    replica_slots: int = Field(default=1, ge=1, le=1)
    """How many replicas there are: the decisions of all models lie in one partition, so 1."""
