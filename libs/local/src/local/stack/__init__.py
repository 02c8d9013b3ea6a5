"""The local stack: broker, Valkey, MLflow and the services as supervised processes."""
