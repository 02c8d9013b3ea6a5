"""Settings that every service has, read from the environment."""

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import SettingsError

from servicekit.access import KafkaAccess

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


BrokerKind = Literal["apache", "embedded"]

_OF_ADDRESSES = re.compile(r"[#?\[\]*]|%[0-9A-Fa-f]{2}")
"""What means something else in an address: Delta, MLflow and Feast each take a path for one
somewhere, and would write elsewhere."""


def plain_folder(path: str | Path) -> str:
    """Return the path of a folder that can stand in an address as it is.

    Raises:
        ValueError: it cannot; the text names path and remedy.
    """
    whole = str(Path(path).expanduser().absolute())
    if found := sorted(set(_OF_ADDRESSES.findall(whole))):
        raise ValueError(
            f"{whole} has {' '.join(found)} in it, which the stores take for part of an address:"
            " give a folder without"
        )
    return str(path)


class TopicSettings(KafkaAccess):
    """Settings of all that makes topics; `tailrace topics` alone changes those that exist."""

    kafka_partitions: int = Field(default=1, ge=1, le=256)
    """Partitions of the topics that carry records, predictions and labels; all others have one."""
    kafka_replication: int = Field(default=-1, ge=-1, le=15)
    """Copies of a topic; -1 leaves it to the brokers."""
    kafka_topic_options: dict[str, str] = Field(default_factory=dict)
    """Options of topics, as JSON; they go before what the contracts ask for, but for the cleanup
    policy. Of every topic, or of one: `{"prediction.logged/retention.ms": "86400000"}`."""


class ServiceSettings(TopicSettings):
    """Base of a service's settings; the environment variable is the field's name in capitals."""

    kafka_broker_kind: BrokerKind = "apache"
    """Which broker it is: embedded is the one of the local stack, whose consumers pause between
    fetches and whose producers of transactions each take an id of their own."""
    http_host: str = "127.0.0.1"
    """Address to listen on; loopback unless said otherwise."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    max_connections: int = Field(default=2000, ge=1, le=100_000)
    """Open connections over HTTP, at most; one more makes room by closing the one of which a
    request has been under way longest, and where none is, it is refused with 503."""
    max_header_bytes: int = Field(default=32 * 1024, ge=256, le=1024 * 1024)
    """Bytes of target, names and values of the headers of a request; more is refused with 431."""
    max_bodies_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Bytes of the bodies of all requests that have no answer yet; over it requests of more than
    16 KiB are refused with 503."""
    request_read_seconds: float = Field(default=60.0, gt=0)
    """Time from the first byte of a request, or from the connection, to the last one, and for
    a caller to go on reading an answer; then the connection is closed, with 408 where it can."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe level that is logged."""
    otel_exporter_otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP collector; without it no trace leaves the process."""
    trace_request_ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of the requests that are traced, unless their caller decides; events that bring others
    about are always traced."""
    replica_slot: int = Field(default=0, ge=0)
    """Which replica this is, from 0: its static member id, and the partitions it owns."""
    replica_slots: int = Field(default=1, ge=1)
    """How many replicas there are."""
    shutdown_grace_seconds: float = Field(default=15.0, gt=0)
    """Time to finish what was begun when the process is told to stop."""
    max_batch: int = Field(default=500, ge=1, le=100_000)
    """Messages handled in one transaction, at most; a loop takes what is there, and holds no more
    than these beside what its consumer has ready."""
    kafka_prefetch_messages: int = Field(default=10_000, ge=1, le=1_000_000)
    """Messages of each partition that a consumer tries to have ready."""
    kafka_prefetch_bytes: int = Field(default=16 * 1024 * 1024, ge=2 * 1024 * 1024, le=2**30)
    """Bytes of messages that a consumer has ready, from which it fetches no more until some are
    handled; one fetch, which is no larger, may go beyond."""
    kafka_held_messages: int = Field(default=5000, ge=2, le=1_000_000)
    """Messages of one partition that wait for older ones of another, where topics are joined; then
    it is paused."""
    kafka_held_seconds: float = Field(default=5.0, gt=0)
    """How long they wait for a partition that gives nothing and is not at its end; then they are
    handled without it, and out of order."""
    kafka_sender_queue: int = Field(default=10_000, ge=1, le=10_000_000)
    """Records of a sender that wait for the brokers, at most; whoever sends more is told to come
    back, over HTTP with 503."""
    kafka_sender_queue_bytes: int = Field(default=64 * 1024 * 1024, ge=4 * 1024 * 1024, le=2**31)
    """Bytes of records that wait for the brokers, at most, in a sender and in a loop; a loop that
    makes more waits until there is room."""


S = TypeVar("S", bound=KafkaAccess)


def load_settings(kind: type[S]) -> S:
    """Return the settings of the environment; when one is wrong, say which and how to mend it.

    Raises:
        SystemExit: with code 2, after a line for each wrong variable on standard error.
    """
    try:
        return kind()
    except ValidationError as error:
        problems = [_problem(kind, problem) for problem in error.errors(include_url=False)]
    except SettingsError as error:
        # The text is all there is: it names the field, and not the variable.
        name = re.search(r'field "(\w+)"', str(error))
        problems = [_not_json(kind, name.group(1)) if name else str(error)]
    print("\n".join(problems), file=sys.stderr)  # noqa: T201 - for the person who started it
    sys.exit(2)


def _not_json(kind: type[KafkaAccess], name: str) -> str:
    variable = name.upper()
    field = kind.model_fields.get(name)
    remedy = _remedy(field) if field else ""
    shown = "…" if field and "Secret" in str(field.annotation) else repr(os.environ.get(variable))
    return f"{variable}={shown}: it takes JSON{remedy}"


def _problem(kind: type[KafkaAccess], problem: "ErrorDetails") -> str:
    """Return name, value and remedy, on one line."""
    if not problem["loc"]:
        return "settings: " + problem["msg"].removeprefix("Value error, ")
    given = str(problem["loc"][0])
    field = kind.model_fields.get(given)
    if field is None:
        return f"{given}: {problem['msg']}"
    variable = given.upper()
    secret = "Secret" in str(field.annotation)
    shown = "=…" if secret else f"={problem['input']!r}"
    if problem["type"] == "missing":
        shown = " is not set"
    return f"{variable}{shown}: {problem['msg']}{_remedy(field)}"


def _remedy(field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split()).rstrip(".")
    if not meaning:
        return ""
    default = field.get_default()
    known = default is not None and default is not PydanticUndefined
    hint = f" (default: {default!r})" if known and "Secret" not in str(field.annotation) else ""
    return f"; set it to: {meaning}{hint}"
