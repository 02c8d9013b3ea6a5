"""What Prometheus hears of the predictions, beside their numbers."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import generate_latest
from services.predictor.tests.lab import Json, Lab

from servicekit.testing.metrics import metric_value

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACED = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


def exemplars() -> list[str]:
    """The lines of OpenMetrics that name the trace."""
    return [line for line in generate_latest(REGISTRY).decode().splitlines() if TRACE in line]


def test_the_age_of_a_stored_row_is_seen_once_a_batch(with_store: Lab, body: Json) -> None:
    def value(name: str) -> float:
        return metric_value(f"stored_feature_age_seconds_{name}")

    asked = datetime(2013, 7, 1, 10, tzinfo=UTC)
    written = asked - timedelta(minutes=20)
    with_store.features.put("origin", "EWR", ("weather", "temperature"), 3.0, written)
    count, total = value("count"), value("sum")
    assert with_store.post(body).status_code == 200
    assert (value("count"), value("sum")) == (count + 1, total + 20 * 60)


def test_an_empty_store_has_no_age(with_store: Lab, body: Json) -> None:
    name = "stored_feature_age_seconds_count"
    before = metric_value(name)
    assert with_store.post(body).status_code == 200
    assert metric_value(name) == before


def test_a_latency_has_its_trace_as_exemplar_only_when_traces_are_exported(
    serving: Lab, body: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serving.post(body, headers=TRACED).status_code == 200
    assert exemplars() == []
    monkeypatch.setattr("predictor.serving.counting.exporting", lambda: True)
    assert serving.post(body, headers=TRACED).status_code == 200
    assert exemplars()
    assert all(line.startswith("prediction_latency_seconds_bucket") for line in exemplars())
