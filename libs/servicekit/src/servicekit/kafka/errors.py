"""What the Kafka client's errors mean to a loop."""

from confluent_kafka import KafkaError, KafkaException

from servicekit.errors import FatalBusError, ServicekitError, TooLargeError, UnavailableError

_NO_RETRY_HELPS = {
    KafkaError._FATAL,
    KafkaError._FENCED,
    KafkaError._INVALID_ARG,
    KafkaError._NOT_IMPLEMENTED,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.PRODUCER_FENCED,
    KafkaError.UNSUPPORTED_VERSION,
}

_REFUSED = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "the topics",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "the transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the cluster",
}
"""What the user lacks a right on, by the brokers' answer."""


def kafka_error(error: KafkaException | KafkaError) -> KafkaError:
    """Return the client's error inside its exception."""
    return error if isinstance(error, KafkaError) else error.args[0]


def is_fatal(error: KafkaError) -> bool:
    """Return whether this client, or any with its settings, can never succeed."""
    return error.fatal() or error.code() in _NO_RETRY_HELPS


def is_refused(error: KafkaError) -> bool:
    """Return whether the brokers know the user, and refuse this."""
    return error.code() in _REFUSED


def translate(error: KafkaException | KafkaError, doing: str) -> ServicekitError:
    """Return the kit's error for one of the client's; `doing` completes "while …".

    What is neither fatal nor named by the client as final is an outage: a missing topic or a
    refused permission is mended outside of the process, which goes on when it is.
    """
    inner = kafka_error(error)
    if inner.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return TooLargeError(f"Kafka, while {doing}: {inner.str()}")
    text = f"Kafka, while {doing}: {inner.str()} ({inner.name()})"
    if on := _REFUSED.get(inner.code()):
        text += (
            f": the user of KAFKA_SASL_USERNAME, or of KAFKA_CERT_FILE, lacks a right on {on}; give"
            " it those of its service, see 'Rights in Kafka' in docs/deployment.md"
        )
    return FatalBusError(text) if is_fatal(inner) else UnavailableError(text)


def of_a_record(error: KafkaException | KafkaError, doing: str) -> ServicekitError:
    """As `translate`, for producers that can be replaced: what breaks one is but an outage."""
    translated = translate(error, doing)
    fatal = isinstance(translated, FatalBusError)
    return UnavailableError(str(translated)) if fatal else translated
