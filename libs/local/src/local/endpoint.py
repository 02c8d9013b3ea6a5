"""An endpoint is where a server answers, and how one sees that it is ready."""

import http.client
import socket
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


class Protocol(StrEnum):
    """What an endpoint speaks."""

    KAFKA = "kafka"
    REDIS = "redis"
    HTTP = "http"


@dataclass(frozen=True)
class Endpoint:
    """Where a server answers.

    Attributes:
        address: Bootstrap servers for Kafka, a URL for the others.
        ready_path: What to GET over HTTP; 200 means ready.
    """

    protocol: Protocol
    address: str
    ready_path: str = "/readyz"

    @property
    def shown(self) -> str:
        """The address without a password."""
        if self.protocol is Protocol.KAFKA:
            return self.address
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def ready(self, timeout: float = 2.0) -> bool:
        """Whether it answers as a ready server does, within `timeout` seconds."""
        probes = {Protocol.KAFKA: _kafka, Protocol.REDIS: _redis, Protocol.HTTP: _http}
        try:
            return probes[self.protocol](self, timeout)
        except (OSError, http.client.HTTPException, KafkaException):
            return False


def _kafka(endpoint: Endpoint, timeout: float) -> bool:
    # A refused connection shows at once; librdkafka would go on trying until the timeout.
    host, _, port = endpoint.address.split(",")[0].rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    admin = AdminClient({"bootstrap.servers": endpoint.address, "log_level": 0})
    return bool(admin.list_topics(timeout=timeout).brokers)


def _redis(endpoint: Endpoint, timeout: float) -> bool:
    import redis  # 50 ms that `tailrace logs` need not wait for

    with redis.Redis.from_url(
        endpoint.address, socket_timeout=timeout, socket_connect_timeout=timeout
    ) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def _http(endpoint: Endpoint, timeout: float) -> bool:
    url = urlsplit(endpoint.address)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=timeout)
    try:
        connection.request("GET", url.path.rstrip("/") + endpoint.ready_path)
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()
