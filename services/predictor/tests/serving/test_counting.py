from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest

from predictor.serving.counting import observe_all

BOUNDS = (0.25, 0.5, 1.0)


def page(observe: "object", values: list[float]) -> dict[str, float]:
    registry = CollectorRegistry()
    histogram = Histogram("h", "h", ["m"], buckets=BOUNDS, registry=registry).labels("m")
    assert callable(observe)
    observe(histogram, values)
    lines = generate_latest(registry).decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in found.items() if "_created" not in name}


def one_by_one(histogram: Histogram, values: list[float]) -> None:
    for value in values:
        histogram.observe(value)


# Quarters of whole numbers add up to the same in any order, and lie on the bounds themselves.
@given(st.lists(st.integers(0, 8).map(lambda n: n / 4)))
def test_values_at_once_count_as_they_do_one_by_one(values: list[float]) -> None:
    assert page(observe_all, values) == page(one_by_one, values)
