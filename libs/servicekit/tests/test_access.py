"""How the brokers let a client in, and what a person reads when the settings do not fit."""

from pathlib import Path

import pytest
from confluent_kafka import Producer
from pydantic import ValidationError

from servicekit.access import KafkaAccess

LOGIN = {"kafka_sasl_username": "ingest", "kafka_sasl_password": "hunter2"}


def test_without_settings_nothing_is_added() -> None:
    assert KafkaAccess().client_options() == {}


def test_a_password_over_tls_becomes_options_that_librdkafka_takes(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    access = KafkaAccess(
        kafka_security_protocol="SASL_SSL",
        kafka_ca_file=authority,
        **LOGIN,  # pyright: ignore[reportArgumentType]
    )
    options = access.client_options()
    assert options == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ingest",
        "sasl.password": "hunter2",
        "ssl.ca.location": str(authority),
    }
    del options["ssl.ca.location"]  # an empty file is no certificate
    Producer(options | {"bootstrap.servers": "127.0.0.1:1"})
    assert "hunter2" not in repr(access)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_username": "me"},
            "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_PASSWORD",
        ),
        (LOGIN, "would not be used with KAFKA_SECURITY_PROTOCOL=PLAINTEXT: choose SASL_SSL"),
        ({"kafka_ca_file": __file__}, "KAFKA_CA_FILE would not be used"),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_file": __file__},
            "KAFKA_CERT_FILE and KAFKA_KEY_FILE belong together",
        ),
        ({"kafka_security_protocol": "SSL", "kafka_ca_file": "/nowhere.pem"}, "kafka_ca_file"),
    ],
)
def test_what_does_not_fit_together_is_refused_without_showing_the_password(
    given: dict[str, str], said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as error:
        KafkaAccess(**given)  # pyright: ignore[reportArgumentType]
    assert "hunter2" not in str(error.value)
