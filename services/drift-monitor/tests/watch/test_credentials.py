"""What Faust is told of the brokers' demands."""

import ssl

import pytest

from drift_monitor.watch.credentials import credentials
from servicekit.access import KafkaAccess

LOGIN = {"kafka_sasl_username": "watch", "kafka_sasl_password": "hunter2"}


def access(protocol: str, **more: str) -> KafkaAccess:
    return KafkaAccess(kafka_security_protocol=protocol, **more)  # pyright: ignore[reportArgumentType]


def test_brokers_that_ask_for_nothing_get_nothing() -> None:
    assert credentials(access("PLAINTEXT")) is None


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_a_password_is_given_with_the_protocol_that_was_asked_for(protocol: str) -> None:
    given = credentials(access(protocol, **LOGIN))
    assert given is not None
    assert given.protocol.value == protocol
    assert (given.username, given.password) == ("watch", "hunter2")
    assert given.mechanism.value == "SCRAM-SHA-512"


def test_without_a_password_a_certificate_is_checked() -> None:
    given = credentials(access("SSL"))
    assert given is not None
    assert given.protocol.value == "SSL"
    assert given.context.verify_mode is ssl.CERT_REQUIRED
    assert given.context.check_hostname
