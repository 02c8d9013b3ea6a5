"""Reads what the parts of a local stack have used, and what their brokers hold."""

import asyncio
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from bench.capacity.costs import Phase
from prometheus_client.parser import text_string_to_metric_families

from local.stack import supervisor
from local.stack.layout import Layout
from local.stack.record import Record

PATIENCE_SECONDS = 120.0
QUIET_CORES = 0.10
"""A part that uses less has nothing to do but to look whether there is something."""


class MeterError(Exception):
    """Something did not happen in time; the text says what."""


@dataclass(frozen=True)
class Reading:
    """What was used until one moment."""

    at: float
    cpu: Mapping[str, float]
    topics: Mapping[str, int]


class Meter:
    """Looks at a stack on Apache Kafka.

    Args:
        stack: What is up.
        layout: Where its state lies.
    """

    def __init__(self, stack: Record, layout: Layout) -> None:
        self._stack = stack
        self._layout = layout
        self._where = stack.addresses

    def read(self) -> Reading:
        """CPU seconds of each part, and the size of each topic."""
        return Reading(time.monotonic(), self._cpu(), self._topics())

    def phase(
        self,
        before: Reading,
        count: int,
        parts: tuple[str, ...],
        topics: tuple[str, ...] = (),
    ) -> Phase:
        """What these parts and topics have used since a reading."""
        now = self.read()
        return Phase(
            count=count,
            seconds=now.at - before.at,
            cpu_seconds={part: now.cpu[part] - before.cpu[part] for part in parts},
            topics={t: now.topics.get(t, 0) - before.topics.get(t, 0) for t in topics},
        )

    def memory(self) -> dict[str, float]:
        """Megabytes of each part, shared pages counted by share."""
        return {
            name: sum(_pss(process) for process in self._family(name)) / 1e6
            for name in self._names()
        }

    async def idle(self, seconds: float) -> dict[str, float]:
        """Cores that each part uses with nothing to do."""
        before, begun = self._cpu(), time.monotonic()
        await asyncio.sleep(seconds)
        now, passed = self._cpu(), time.monotonic() - begun
        return {name: (now[name] - before[name]) / passed for name in now}

    def sum_of(self, part: str, metric: str, **labels: str) -> float:
        """The sum of a metric of a part over all that has these labels."""
        with urllib.request.urlopen(f"{self._where[part]}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    async def until(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait for something.

        Raises:
            MeterError: It did not happen.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not await asyncio.to_thread(happened):
            if time.monotonic() > give_up:
                raise MeterError(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
            await asyncio.sleep(0.2)

    async def settled(self, *parts: str) -> None:
        """Wait until these have nothing more to do.

        Raises:
            MeterError: They went on and on.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            used = await self.idle(1.0)
            if busy := [part for part in parts if used[part] > QUIET_CORES]:
                if time.monotonic() > give_up:
                    raise MeterError(f"{', '.join(busy)} did not come to rest")
            else:
                return

    def _names(self) -> list[str]:
        return [part.name for part in self._stack.own]

    def _family(self, name: str) -> list[psutil.Process]:
        pid = supervisor.pid(self._stack, name)
        if pid is None:
            raise MeterError(f"{name} does not run: see {self._layout.log(name)}")
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]

    def _cpu(self) -> dict[str, float]:
        return {name: sum(map(_seconds, self._family(name))) for name in self._names()}

    def _topics(self) -> dict[str, int]:
        found: dict[str, int] = {}
        # One broker; with three, each holds a copy of all.
        node = next(name for name in self._names() if name.startswith("kafka"))
        for partition in sorted((self._layout.data / node / "data").glob("*-*/")):
            topic = partition.name.rpartition("-")[0]
            if topic.startswith("__"):
                continue
            size = sum(_size(path) for path in partition.glob("*.log"))
            found[topic] = found.get(topic, 0) + size
        return found


def _seconds(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.Error:
        return 0.0
    return used.user + used.system + used.children_user + used.children_system


def _pss(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
