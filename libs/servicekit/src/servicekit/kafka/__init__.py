"""The bus over Apache Kafka, with confluent-kafka."""

from servicekit.kafka.bus import KafkaBus

__all__ = ["KafkaBus"]
