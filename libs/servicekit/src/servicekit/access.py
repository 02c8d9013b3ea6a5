"""The way to the brokers: where they are, and how to be let in."""

from typing import Any, Literal, Self

from pydantic import FilePath, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaAccess(BaseSettings):
    """Settings of all that speaks with Kafka, services and commands alike."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        # An error of several settings together would show them all, the password too.
        hide_input_in_errors=True,
    )

    kafka_bootstrap_servers: str = "127.0.0.1:19092"
    """Comma-separated `host:port` of some Kafka brokers."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How to speak with them: encrypted (SSL), with a password (SASL), or both."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the password is proved."""
    kafka_sasl_username: str | None = None
    """Whom the brokers know."""
    kafka_sasl_password: SecretStr | None = None
    """The password of that user."""
    kafka_ca_file: FilePath | None = None
    """PEM file of the authority that signed the brokers' certificates; unset: the system's."""
    kafka_cert_file: FilePath | None = None
    """PEM file of a client certificate, for brokers that ask for one."""
    kafka_key_file: FilePath | None = None
    """PEM file of the key of that certificate."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        protocol = self.kafka_security_protocol
        login = ("kafka_sasl_username", "kafka_sasl_password")
        files = ("kafka_ca_file", "kafka_cert_file", "kafka_key_file")
        missing = [name.upper() for name in login if getattr(self, name) is None]
        if "SASL" in protocol and missing:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={protocol} needs {' and '.join(missing)}: set them"
            )
        for unused, fields, choose in (
            ("SASL" not in protocol, login, "SASL_SSL"),
            (not protocol.endswith("SSL"), files, "SSL or SASL_SSL"),
        ):
            given = [name.upper() for name in fields if getattr(self, name) is not None]
            if unused and given:
                raise ValueError(
                    f"{' and '.join(given)} would not be used with"
                    f" KAFKA_SECURITY_PROTOCOL={protocol}: choose {choose}"
                )
        if (self.kafka_cert_file is None) != (self.kafka_key_file is None):
            raise ValueError("KAFKA_CERT_FILE and KAFKA_KEY_FILE belong together: set both")
        return self

    def client_options(self) -> dict[str, Any]:
        """What librdkafka needs beyond the address of the brokers."""
        protocol = self.kafka_security_protocol
        if protocol == "PLAINTEXT":
            return {}
        options: dict[str, Any] = {"security.protocol": protocol}
        if self.kafka_sasl_password is not None:
            options |= {
                "sasl.mechanism": self.kafka_sasl_mechanism,
                "sasl.username": self.kafka_sasl_username,
                "sasl.password": self.kafka_sasl_password.get_secret_value(),
            }
        files = {
            "ssl.ca.location": self.kafka_ca_file,
            "ssl.certificate.location": self.kafka_cert_file,
            "ssl.key.location": self.kafka_key_file,
        }
        return options | {name: str(path) for name, path in files.items() if path is not None}
