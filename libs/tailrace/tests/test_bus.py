"""Topics are read to their end or until a caller has enough, and events are published."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from event_schemas import RetrainRequested
from local.endpoint import Endpoint, Protocol
from local.errors import StackError
from local.servers.server import Stage
from local.stack import record as stack_record
from local.stack.record import RecordedPart
from local.stack.settings import StackSettings
from servicekit.bus import Message, Record
from servicekit.memory import MemoryBus
from tailrace.bus import of_running_stack, publish, read, sending

REQUEST = RetrainRequested(
    model="m", cause="manual", requested_by="test", event_time=datetime(2013, 2, 1, tzinfo=UTC)
)


def test_reading_ends_after_all_that_is_there() -> None:
    bus: Any = MemoryBus()
    for value in (b"1", b"2"):
        bus.append(Record("a", b"k", value))
    bus.append(Record("b", b"k", b"3"))
    assert sorted(message.value or b"" for message in read(bus, "a", "b")) == [b"1", b"2", b"3"]


class Partitions:
    """A bus whose view brings one partition after another, as a broker does."""

    def __init__(self, *batches: list[Message]) -> None:
        self.batches = list(batches)

    def view(self, *_: str) -> "Partitions":
        return self

    def poll(self, _: float) -> list[Message]:
        return self.batches.pop(0) if self.batches else []

    @property
    def caught_up(self) -> bool:
        return not self.batches

    def close(self) -> None: ...


def test_fault_4_11_what_is_there_comes_the_oldest_first_over_all_topics() -> None:
    def at(topic: str, partition: int, *times: int) -> list[Message]:
        return [Message(topic, partition, n, b"k", b"v", (), time) for n, time in enumerate(times)]

    bus: Any = Partitions(at("b", 0, 1, 5, 6), at("a", 0, 2, 7), [], at("a", 1, 3, 4))
    assert [message.timestamp_ms for message in read(bus, "a", "b")] == [1, 2, 3, 4, 5, 6, 7]


def test_reading_goes_on_until_the_caller_has_enough() -> None:
    bus: Any = MemoryBus()
    bus.append(Record("a", b"k", b"1"))
    found: list[bytes | None] = []
    for message in read(bus, "a", until=lambda: len(found) == 2):
        found.append(message.value)
        if len(found) == 1:
            bus.append(Record("a", b"k", b"2"))
    assert found == [b"1", b"2"]


def test_what_is_published_is_an_event_of_its_source_under_the_returned_id() -> None:
    bus: Any = MemoryBus()
    (identity,) = publish(bus, "/tailrace/test", REQUEST)
    (event,) = bus.events(RetrainRequested)
    assert (event.id, event.source, event.body) == (identity, "/tailrace/test", REQUEST)


def test_a_record_is_sent_as_it_is() -> None:
    bus: Any = MemoryBus()
    with sending(bus) as send:
        send(Record("a", b"k", b"v", (("h", b"1"),)))
    (message,) = bus.messages("a")
    assert (message.key, message.value, message.headers) == (b"k", b"v", (("h", b"1"),))


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StackSettings:
    """A stack that another shell has started on ports of its own; these settings know none."""
    for name in StackSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("local.stack.supervisor.alive", lambda _: True)
    settings = StackSettings(tailrace_home=tmp_path)
    settings.layout.run.mkdir()
    settings.layout.data.mkdir()
    return settings


def record_broker(settings: StackSettings, *addresses: str, stage: Stage | None) -> None:
    parts = [
        RecordedPart(f"kafka-{n}", Endpoint(Protocol.KAFKA, address), stage)
        for n, address in enumerate(addresses)
    ]
    stack = stack_record.Record("ipc:///none", 1, "/none", tuple(parts))
    stack_record.write(stack, settings.layout)


def test_fault_4_11_another_shell_finds_the_broker_that_runs(started: StackSettings) -> None:
    record_broker(started, "127.0.0.1:2001", "127.0.0.1:2002", "127.0.0.1:2003", stage=Stage.BROKER)
    (started.layout.data / "broker").write_text("apache 3\n")
    found = of_running_stack(started)
    assert found.bootstrap_servers == "127.0.0.1:2001,127.0.0.1:2002,127.0.0.1:2003"
    assert found.broker_kind == "apache"


def test_fault_4_11_a_broker_of_the_users_own_is_found_in_the_record(
    started: StackSettings,
) -> None:
    record_broker(started, "one:9092,two:9092", stage=None)
    found = of_running_stack(started)
    assert (found.bootstrap_servers, found.broker_kind) == ("one:9092,two:9092", "apache")


def test_fault_4_11_no_stack_of_somebody_else_is_dialled(started: StackSettings) -> None:
    with pytest.raises(StackError, match=r"no broker runs in TAILRACE_HOME=.*tailrace up"):
        of_running_stack(started)
    named = started.model_copy(update={"kafka_bootstrap_servers": "there:9092"})
    assert of_running_stack(named) is named


@pytest.mark.parametrize("named", [None, "there:9092"])
def test_fault_4_13_an_image_without_the_packages_of_a_stack_finds_the_broker_that_is_named(
    named: str | None, tmp_path: Path
) -> None:
    program = """
import sys
sys.modules.update(dict.fromkeys(("psutil", "circus", "circus.client", "circus.exc")))
from local.errors import StackError
from tailrace.bus import broker
try:
    with broker() as bus:
        print(type(bus).__name__)
except StackError as error:
    print(error)
"""
    environment = {"PATH": "/usr/bin:/bin", "TAILRACE_HOME": str(tmp_path)}
    if named:
        environment["KAFKA_BOOTSTRAP_SERVERS"] = named
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    wanted = "KafkaBus" if named else "no broker runs in TAILRACE_HOME"
    assert done.stdout.startswith(wanted), done.stdout + done.stderr
