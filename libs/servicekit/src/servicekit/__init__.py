"""The kit: Kafka, HTTP, telemetry and settings for event-driven services; no machine learning."""
