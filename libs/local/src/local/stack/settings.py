"""Settings of the local stack, read from environment variables of the same names."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from local.errors import StackError
from local.process import free_port
from local.stack.layout import Layout
from servicekit.settings import plain_folder

Port = Annotated[int, Field(ge=1, le=65535)]


class StackSettings(BaseSettings):
    """Where the local stack listens, what it uses instead of its own parts, where it keeps state.

    A relative path counts from the working directory.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, use_attribute_docstrings=True
    )

    tailrace_home: Path = Path(".tailrace")
    """Folder of state, logs and generated files."""

    http_host: str = "127.0.0.1"
    """Address that the services listen on; broker, Valkey and MLflow stay on loopback."""

    broker: Literal["embedded", "apache"] = "embedded"
    """The broker: a small one from a wheel, or Apache Kafka, which needs Java and Maven."""

    nodes: Literal[1, 3] = 1
    """How many nodes of Apache Kafka; three keep three copies of everything."""

    kafka_pom: Path = Path("compose/local/pom.xml")
    """Names the version of Apache Kafka, as Maven reads it."""

    kafka_port: Port = 19092
    """Port of the broker; further nodes have the ports after it, controllers those from 10 on."""

    valkey_port: Port = 16379
    """Port of Valkey."""

    mlflow_port: Port = 15000
    """Port of the MLflow server."""

    ingest_port: Port = 18081
    """Port of ingest."""

    predictor_port: Port = 18080
    """Port of the predictor."""

    trainer_port: Port = 18082
    """Operations port of the trainer."""

    deployer_port: Port = 18083
    """Operations port of the deployer."""

    windows_port: Port = 18084
    """Operations port of `drift-monitor windows`."""

    watch_port: Port = 18085
    """Operations port of `drift-monitor watch`."""

    kafka_bootstrap_servers: str | None = None
    """A broker of your own; the embedded one is then not started."""

    redis_url: SecretStr | None = None
    """A Redis or Valkey of your own; the bundled one is then not started."""

    mlflow_tracking_uri: str | None = None
    """An MLflow server of your own; none is then started."""

    lake_uri: str | None = None
    """Folder or s3:// address of the lake; unset: `lake` in the home folder."""

    feast_repo: str | None = None
    """Folder or s3:// prefix of the feature registry; unset: `feast` in the home folder."""

    traces: bool = False
    """Whether the services send their traces to the MLflow server, which has a page for them; a
    collector of your own is named by `OTEL_EXPORTER_OTLP_ENDPOINT` instead."""

    models_dir: Path = Path("models")
    """Folder with one folder a model."""

    log_level: str = "INFO"
    """How much the services log."""

    @field_validator("nodes", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @model_validator(mode="after")
    def _several_nodes_are_apache(self) -> Self:
        if self.nodes > 1 and self.broker != "apache":
            raise ValueError(f"NODES={self.nodes} needs BROKER=apache: the embedded broker is one")
        return self

    @field_validator("tailrace_home")
    @classmethod
    def _is_plain(cls, home: Path) -> Path:
        plain_folder(home)
        return home

    @model_validator(mode="after")
    def _one_part_a_port(self) -> Self:
        ports = {name: value for name, value in self if name.endswith("_port")}
        for port, uses in Counter(ports.values()).items():
            if uses > 1:
                names = [name.upper() for name, value in ports.items() if value == port]
                raise ValueError(f"{' and '.join(names)} are both {port}: give each its own")
        return self

    @property
    def bootstrap_servers(self) -> str:
        """`host:port` of the user's brokers, or else of each broker that is started here."""
        own = (f"127.0.0.1:{self.kafka_port + number}" for number in range(self.nodes))
        return self.kafka_bootstrap_servers or ",".join(own)

    @property
    def embedded(self) -> bool:
        """Whether the embedded broker is used."""
        return self.broker == "embedded" and self.kafka_bootstrap_servers is None

    @property
    def broker_kind(self) -> Literal["apache", "embedded"]:
        """The kind of broker that the services and the commands reach."""
        return "embedded" if self.embedded else "apache"

    @property
    def home(self) -> Path:
        """The folder of state as an absolute path."""
        return self.tailrace_home.expanduser().absolute()

    @property
    def layout(self) -> Layout:
        """Where the files of the stack lie."""
        return Layout(self.home)


def free_ports() -> dict[str, int]:
    """A free port for each setting that names one, for a stack beside others."""
    ports: dict[str, int] = {}
    taken: set[int] = set()
    for name in sorted(name for name in StackSettings.model_fields if name.endswith("_port")):
        # Nodes and controllers of Apache Kafka have the ports that follow the first.
        above = (1, 2, 10, 11, 12) if name == "kafka_port" else ()
        ports[name] = free_port(*above, taken=taken)
        taken |= {ports[name] + offset for offset in (0, *above)}
    return ports


def stack_settings() -> StackSettings:
    """Read the settings from the environment.

    Raises:
        StackError: A variable holds something that it cannot; the message names it.
    """
    try:
        return StackSettings()
    except ValidationError as error:
        lines = [
            f"{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}"
            if e["loc"]
            else str(e["msg"]).removeprefix("Value error, ")
            for e in error.errors()
        ]
        raise StackError("; ".join(lines)) from None
