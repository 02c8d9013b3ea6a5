"""Reads back what this process has counted."""

from prometheus_client import REGISTRY


def metric_value(name: str, **labels: str) -> float:
    """The value of a sample, such as `requests_total`; 0 while nothing was counted."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
