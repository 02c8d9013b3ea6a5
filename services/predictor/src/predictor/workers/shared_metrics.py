"""Metrics of several processes as those of one: each writes files, and any of them reads all.

prometheus_client chooses between memory and files when it is imported, by an environment variable;
so `shared_metrics` has to be entered before anything imports it.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Gauge
    from prometheus_client.metrics_core import Metric

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_observed: "dict[Gauge, Callable[[], float]]" = {}


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Keep the metrics of this process and of those that it forks in one folder, while it runs.

    Raises:
        RuntimeError: prometheus_client was imported before.
    """
    if "prometheus_client" in sys.modules:
        raise RuntimeError("enter shared_metrics() before prometheus_client is imported")
    folder = tempfile.mkdtemp(prefix="metrics-")
    os.environ[VARIABLE] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def are_shared() -> bool:
    """Return whether the metrics are in files; the variable may have been set too late for that."""
    from prometheus_client import values

    return values.ValueClass is not values.MutexValue


def observe(gauge: "Gauge", value: Callable[[], float]) -> None:
    """Let a gauge show what a function returns.

    A process alone calls it when the gauge is read. One of several cannot call the others': each
    calls its own functions often, in `set_observed`.
    """
    if are_shared():
        _observed[gauge] = value
    else:
        gauge.set_function(value)


def set_observed() -> None:
    """Set the observed gauges; called several times a second where metrics are shared."""
    for gauge, value in _observed.items():
        gauge.set(value())


def registry_of(pids: Callable[[], Iterable[int]]) -> "CollectorRegistry":
    """What all processes count, and what the operating system says of those that live."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    registry.register(_Processes(pids))  # pyright: ignore[reportArgumentType]
    return registry


def forget_process(pid: int) -> None:
    """Remove the gauges of a process that has ended; what it counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)


class _Processes:
    """`process_*` of several processes as those of one."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids

    def collect(self) -> "list[Metric]":
        """Return the sums; of the start times the first, of the limits the lowest."""
        from prometheus_client import ProcessCollector

        found: dict[str, Metric] = {}
        for pid in self._pids():
            of_one = ProcessCollector(pid=lambda pid=pid: pid, registry=None)
            for metric in of_one.collect():
                if metric.name not in found:
                    found[metric.name] = metric
                    continue
                total, (sample,) = found[metric.name].samples[0], metric.samples
                lowest = metric.name in ("process_start_time_seconds", "process_max_fds")
                value = min(total.value, sample.value) if lowest else total.value + sample.value
                found[metric.name].samples[0] = total._replace(value=value)
        return list(found.values())
