from uuid import uuid4

from prometheus_client import Counter, Gauge, Histogram

from servicekit.testing.metrics import metric_value


def unique(name: str) -> str:
    return f"{name}_{uuid4().hex}"


def test_a_counter_is_read_by_the_name_of_its_sample_and_by_its_labels() -> None:
    name = unique("asked")
    counter = Counter(name, "asked", ["model", "arm"])
    counter.labels("m", "champion").inc(2)
    counter.labels("m", "challenger").inc()
    assert metric_value(f"{name}_total", model="m", arm="champion") == 2
    assert metric_value(f"{name}_total", arm="challenger", model="m") == 1


def test_a_gauge_has_its_own_name() -> None:
    name = unique("waiting")
    Gauge(name, "waiting").set(-3.5)
    assert metric_value(name) == -3.5


def test_a_histogram_has_a_count_a_sum_and_buckets() -> None:
    name = unique("seconds")
    histogram = Histogram(name, "seconds", buckets=[1, 10])
    histogram.observe(0.5)
    histogram.observe(5)
    assert (metric_value(f"{name}_count"), metric_value(f"{name}_sum")) == (2, 5.5)
    assert metric_value(f"{name}_bucket", le="1.0") == 1


def test_what_nobody_counted_is_zero() -> None:
    name = unique("nothing")
    Counter(name, "nothing", ["model"])
    assert metric_value(f"{name}_total", model="m") == 0
    assert metric_value(unique("unheard_of")) == 0
