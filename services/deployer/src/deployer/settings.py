"""The deployer's settings."""

from pydantic import Field

from servicekit.settings import ServiceSettings


class DeployerSettings(ServiceSettings):
    """Nothing beyond what every service has."""

    http_port: int = Field(default=18083, ge=0, le=65535)
    """Port of /livez, /readyz and /metrics; 0 takes a free one."""
