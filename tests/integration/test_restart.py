"""A service that is started again goes on where it was: it reads nothing twice, unless told to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import deployer.app
import drift_monitor.app
import ingest.app
import trainer.app
from deployer.settings import DeployerSettings
from drift_monitor.settings import WindowsSettings
from event_schemas import BY_TYPE
from event_schemas.catalog import ROUTES
from event_schemas.generate.examples import read_example
from ingest.settings import IngestSettings
from local.broker import broker, bus
from servicekit.bus import Message
from servicekit.clock import FakeClock
from servicekit.cloudevents import encode
from servicekit.errors import RefusedResetError
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.loops.offset_reset import OffsetReset
from servicekit.start import Start
from trainer.settings import TrainerSettings

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
DATASET = "dataset: landings\ncolumns:\n  delay: {type: number, required: true}\n"
Partition = tuple[str, str, int]
"""Loop, topic and partition."""


@dataclass
class Listening:
    """A bus that notes which offset each loop is handed."""

    bus: KafkaBus
    heard: dict[Partition, list[int]] = field(default_factory=dict)

    def transactional(self, **how: Any) -> Any:
        return _Session(self.bus.transactional(**how), how["service"], self.heard)

    def group(self, **how: Any) -> Any:
        return _Session(self.bus.group(**how), how["group"], self.heard)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bus, name)


class _Session:
    def __init__(self, inner: Any, loop: str, heard: dict[Partition, list[int]]) -> None:
        self._inner, self._loop, self._heard = inner, loop, heard

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        messages = self._inner.poll(max_messages, timeout)
        for m in messages:
            self._heard.setdefault((self._loop, m.topic, m.partition), []).append(m.offset)
        return messages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Nothing:
    """Stands where a service asks for models, runs or reports: there are none."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: {"trained_on": [], "problems": {}}.get(name)


def parts(service: str, bus: Any, folder: Path) -> Sequence[Any]:
    """The loops of a service as `build` wires them."""
    nothing: Any = Nothing()
    if service == "ingest":
        settings = IngestSettings(
            models_dir=folder / "models", lake_uri=str(folder / "lake"), linger_seconds=0
        )
        return ingest.app.build(settings, bus)[0]
    if service == "trainer":
        return trainer.app.build(
            TrainerSettings(work_dir=folder / "trainer"),
            bus,
            catalog=nothing,
            champions=nothing,
            training=nothing,
            runs=nothing,
            versions=nothing,
        )
    if service == "deployer":
        return deployer.app.build(DeployerSettings(), bus)
    return drift_monitor.app.build(WindowsSettings(), bus, reports=nothing, references=nothing)


class World:
    """A broker with one service at a time, and what is sent to it."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self._bus = bus(bootstrap)
        self._folder = folder
        self._sender = self._bus.sender()
        self._numbers = count()
        datasets = folder / "models" / "m" / "datasets"
        datasets.mkdir(parents=True)
        (datasets / "landings.yaml").write_text(DATASET)

    def send(self, topics: Sequence[str]) -> None:
        """One more event of each type, as the examples of the contracts have it."""
        for topic in topics:
            body = BY_TYPE[topic].model_validate(read_example(ROOT, BY_TYPE[topic]))
            event = Event(
                body=body,
                source="/test",
                time=FakeClock().now(),
                id=f"{topic}-{next(self._numbers)}",
            )
            self._sender.send(encode(event)).result(30)

    def live(self, service: str, *, least: int) -> dict[Partition, list[int]]:
        """A life that ends when nothing comes any more; what each loop was handed."""
        listening = Listening(self._bus)
        loops = [p for p in parts(service, listening, self._folder) if hasattr(p, "step")]
        for loop in loops:
            loop.open()
        idle = 0
        for _ in range(300):
            idle = 0 if sum(loop.step() for loop in loops) else idle + 1
            if idle >= 2 and len(listening.heard) >= least:
                break
        for loop in loops:
            loop.close()
        return listening.heard

    def reset_offsets(self, service: str, reset: OffsetReset) -> None:
        for part in parts(service, self._bus, self._folder):
            if hasattr(part, "reset_offsets"):
                part.reset_offsets(reset)

    def close(self) -> None:
        self._sender.close(5)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A broker of its own: the groups bear the services' names."""
    folder = tmp_path_factory.mktemp("restart")
    with broker(folder / "broker") as bootstrap:
        found = World(bootstrap, folder)
        yield found
        found.close()


@pytest.mark.parametrize("service", ["ingest", "trainer", "deployer", "drift-monitor"])
def test_a_service_reads_nothing_twice_until_it_is_told_to(world: World, service: str) -> None:
    inputs = [topic for topic, route in ROUTES.items() if service in route.receivers]
    world.send(inputs)
    world.send(inputs)
    first = world.live(service, least=len(inputs))
    assert {topic for _, topic, _ in first} == set(inputs)
    assert all(offsets == sorted(set(offsets)) for offsets in first.values())

    world.send(inputs)
    second = world.live(service, least=len(inputs))
    assert second.keys() == first.keys()
    for place, offsets in second.items():
        assert offsets[0] > first[place][-1], place

    if service != "ingest":
        with pytest.raises(RefusedResetError, match="--reset-state"):
            world.reset_offsets(service, OffsetReset(Start("earliest")))
    world.reset_offsets(service, OffsetReset(Start("earliest"), reset_state=True))
    again = world.live(service, least=len(first))
    for place, offsets in first.items():
        assert again[place][: len(offsets)] == offsets, place
