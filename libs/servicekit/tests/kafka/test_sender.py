"""A sender without brokers waits: it neither spins nor holds up the end of its process."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from local.broker import broker
from local.process import free_port
from servicekit.errors import UnavailableError
from servicekit.kafka import sender as module
from servicekit.kafka.client import Clients
from servicekit.kafka.sender import KafkaSender
from servicekit.kafka.topic_layout import TopicLayout
from servicekit.kafka.topics import Topics

CHILD = Path(__file__).parents[1] / "children" / "orphan.py"
IDLE_SECONDS = 2.0


class Broken:
    """A producer that fails at once, whenever it is asked, and never gives its record up."""

    def __init__(self) -> None:
        self.polls = 0

    def poll(self, seconds: float) -> int:
        self.polls += 1
        raise KafkaException(KafkaError(KafkaError._FATAL))

    def flush(self, seconds: float) -> int:
        return 1

    def purge(self) -> None: ...

    def __len__(self) -> int:
        return 1


class Making(Clients):
    """Makes producers that are broken, and counts the clients that it makes to ask for topics."""

    def __init__(self) -> None:
        super().__init__(f"127.0.0.1:{free_port()}", request_seconds=0.05)
        self.made: list[Broken] = []
        self.admins = 0

    def producer(self, **options: Any) -> Any:
        self.made.append(Broken())
        return self.made[-1]

    def admin(self) -> Any:
        self.admins += 1
        return super().admin()


def test_a_producer_that_fails_at_once_is_asked_seldom_and_then_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PURGE_SECONDS", 0.5)
    clients, others = Making(), set(threading.enumerate())
    sender = KafkaSender(
        clients,
        Topics(clients, TopicLayout(1, -1, {})),
        max_queue=10,
        linger_seconds=0,
        delivery_seconds=1,
    )
    new = [t for t in set(threading.enumerate()) - others if t.name == "kafka-sender"]
    for thread in new:
        thread.join(30)
    sender.close(0)
    assert not any(thread.is_alive() for thread in new)
    # One when it breaks, and one each 50 ms of the half second after that.
    assert 1 < clients.made[0].polls <= 12


def test_one_client_asks_for_the_topics_however_often_nobody_answers() -> None:
    clients = Making()
    topics = Topics(clients, TopicLayout(1, -1, {}))
    for _ in range(5):
        with pytest.raises(UnavailableError):
            topics.ensure(["t"])
    assert clients.admins == 1


@pytest.mark.integration
def test_a_sender_whose_broker_is_gone_takes_next_to_no_time(tmp_path: Path) -> None:
    port = free_port()
    with broker(tmp_path, port):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), f"127.0.0.1:{port}", str(IDLE_SECONDS)],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert child.stdout is not None
            said = child.stdout.readline()
        except BaseException:
            child.kill()
            raise
    try:
        out, err = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert (said, child.returncode) == ("sent\n", 0), err
    used, left = out.split()
    # A busy machine makes the wait longer, and not the processor time.
    assert float(used) < 0.25 * IDLE_SECONDS, err
    assert int(left) <= 20
