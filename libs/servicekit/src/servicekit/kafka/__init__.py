"""The bus over Apache Kafka, with confluent-kafka."""
