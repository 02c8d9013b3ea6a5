"""The bus over Kafka, with confluent-kafka."""

from servicekit.kafka.bus import KafkaBus
from servicekit.kafka.embedded import EmbeddedKafkaBus
from servicekit.settings import BrokerKind, ServiceSettings

__all__ = ["BUSES", "EmbeddedKafkaBus", "KafkaBus", "bus_from"]

BUSES: dict[BrokerKind, type[KafkaBus]] = {"apache": KafkaBus, "embedded": EmbeddedKafkaBus}
"""The bus for each kind of broker."""


def bus_from(settings: ServiceSettings) -> KafkaBus:
    """Return the bus of the cluster that a service's settings name."""
    return BUSES[settings.kafka_broker_kind].from_settings(settings)
