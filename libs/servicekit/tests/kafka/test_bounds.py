"""What waits in memory is bounded, on the way in and on the way out."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from local.broker import broker
from local.broker import bus as bus_on
from local.process import free_port
from servicekit.bus import Record
from servicekit.errors import OverloadedError
from servicekit.kafka import KafkaBus
from servicekit.kafka import client as module
from servicekit.kafka.client import Bounds
from servicekit.settings import ServiceSettings

apache_only = pytest.mark.skipif(
    os.environ.get("TEST_BROKER") != "apache",
    reason="the embedded broker answers a fetch with all there is (ADR 2)",
)
MB = 1024 * 1024


def test_the_settings_reach_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, dict[str, Any]] = {}

    def note(kind: str) -> Callable[..., None]:
        return lambda options, logger: given.update({kind: options})

    monkeypatch.setattr(KafkaBus, "consumer_type", staticmethod(note("Consumer")))
    monkeypatch.setattr(module, "Producer", note("Producer"))
    settings = ServiceSettings(
        kafka_prefetch_messages=7,
        kafka_prefetch_bytes=3 * MB,
        kafka_held_messages=13,
        kafka_held_seconds=17.0,
        kafka_sender_queue=11,
        kafka_sender_queue_bytes=5 * MB,
    )
    clients = KafkaBus.from_settings(settings)._clients
    assert (clients.bounds.held_messages, clients.bounds.held_seconds) == (13, 17.0)
    clients.consumer("g")
    clients.producer()
    assert given["Consumer"]["queued.min.messages"] == 7
    assert given["Consumer"]["queued.max.messages.kbytes"] == 3 * 1024
    assert given["Consumer"]["fetch.max.bytes"] == 3 * MB
    assert given["Producer"]["queue.buffering.max.kbytes"] == 5 * 1024


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("max_batch", 1),
        ("kafka_prefetch_messages", 1),
        ("kafka_prefetch_bytes", 2 * MB),
        ("kafka_held_messages", 2),
        ("kafka_sender_queue", 1),
        ("kafka_sender_queue_bytes", 4 * MB),
    ],
)
def test_a_limit_that_leaves_no_room_is_refused(name: str, least: int) -> None:
    assert getattr(ServiceSettings.model_validate({name: least}), name) == least
    with pytest.raises(ValidationError, match=name):
        ServiceSettings.model_validate({name: least - 1})


def test_a_sender_refuses_what_its_bytes_do_not_hold() -> None:
    bus = KafkaBus(
        f"127.0.0.1:{free_port()}", request_seconds=0.3, bounds=Bounds(sender_queue_bytes=MB)
    )
    sender = bus.sender()
    try:
        large = Record("t", b"k", b"x" * 100_000)
        for _ in range(MB // 100_000):
            sender.send(large)
        with pytest.raises(OverloadedError, match=rf"or {MB} bytes \(KAFKA_SENDER_QUEUE_BYTES\)"):
            sender.send(large)
        # Smaller ones still go, until they do not either.
        sender.send(Record("t", b"k", b"v"))
    finally:
        sender.close(0)


@apache_only
@pytest.mark.integration
def test_a_consumer_whose_loop_is_at_work_fetches_no_more_than_it_may(tmp_path: Path) -> None:
    held: list[int] = []

    def note(text: str) -> None:
        topics = json.loads(text)["topics"].values()
        held.extend(p["fetchq_size"] for topic in topics for p in topic["partitions"].values())

    with broker(tmp_path) as bootstrap:
        bus = bus_on(
            bootstrap,
            bounds=Bounds(prefetch_bytes=2 * MB),
            options={"statistics.interval.ms": 50, "stats_cb": note},
        )
        view = bus.view("t")
        view.poll(0)
        view.close()
        sender = bus.sender()
        for _ in range(40):
            sender.send(Record("t", b"k", os.urandom(500_000))).result(30)
        sender.close(5)
        session = bus.transactional(service="s", topics=["t"])
        session.open()
        until = time.monotonic() + 60
        while not session.poll(1, 0.1):
            assert time.monotonic() < until
        # Time enough to fetch all of the 20 MB, if it may; statistics are told inside of polls.
        held.clear()
        while len(held) < 40:
            session.commit([], {})
            session._reader.consumer.poll(0)  # type: ignore[union-attr]
            time.sleep(0.05)
            assert time.monotonic() < until
        session.close()
    assert 0 < max(held) <= 4 * MB
