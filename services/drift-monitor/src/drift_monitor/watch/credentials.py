"""The credentials of Faust's client."""

import ssl
from typing import TYPE_CHECKING

from servicekit.access import KafkaAccess

if TYPE_CHECKING:
    from faust.auth import SASLCredentials, SSLCredentials


def credentials(access: KafkaAccess) -> "SASLCredentials | SSLCredentials | None":
    """Return Faust's form of the settings; None where the brokers ask for nothing."""
    protocol = access.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return None
    from faust.auth import SASLCredentials, SSLCredentials

    context = _context(access) if protocol.endswith("SSL") else None
    if access.kafka_sasl_password is None:
        return SSLCredentials(context)
    return SASLCredentials(
        username=access.kafka_sasl_username,
        password=access.kafka_sasl_password.get_secret_value(),
        mechanism=access.kafka_sasl_mechanism,
        ssl_context=context,
    )


def _context(access: KafkaAccess) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=access.kafka_ca_file)
    if access.kafka_cert_file is not None:
        context.load_cert_chain(access.kafka_cert_file, access.kafka_key_file)
    return context
