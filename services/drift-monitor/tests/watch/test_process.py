"""The whole process, with a real broker: it lives through bad messages and ends when told to."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from event_schemas import DriftSuspected, PredictionLogged
from local.broker import broker, kind
from local.process import free_port
from servicekit.bus import Record
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus

pytestmark = pytest.mark.integration


def eventually(what, deadline=60.0):
    until = time.monotonic() + deadline
    while time.monotonic() < until:
        if result := what():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline:g} s: {what.__name__}")


def get(port, path):
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.read().decode()
    except (URLError, OSError):
        return ""


def test_watch_from_a_broker_that_is_away_to_a_clean_end(tmp_path, make):
    kafka, port = free_port(), free_port()
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
        "HTTP_PORT": str(port),
        "KAFKA_BROKER_KIND": kind(),
        "WATCH_GROUP": "watch-test",
    }
    log = (tmp_path / "watch.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "drift_monitor", "watch"],
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
    )
    try:
        eventually(lambda: get(port, "/livez"))
        assert get(port, "/readyz") == ""  # the broker is away
        with broker(tmp_path / "kafka", kafka) as bootstrap:
            eventually(lambda: get(port, "/readyz"))
            bus = KafkaBus(bootstrap)
            sender = bus.sender()
            generator = random.Random(1)
            topic = PredictionLogged.topic()
            sent = [
                sender.send(Record(topic, b"bad", b"no event")),
                sender.send(Record(topic, None, None)),
            ]
            for row in range(3000):
                body = make.prediction(
                    row,
                    row * timedelta(minutes=1),
                    score=generator.random() / 3 + (0.6 if row >= 1500 else 0.0),
                )
                event = Event(body=body, source="/test", time=make.start)
                sent.append(sender.send(encode(event)))
                if row == 1500:
                    sent.append(sender.send(Record(topic, b"bad", b"{}")))
            for future in sent:
                future.result(timeout=10)

            def measured():
                live = json.loads(get(port, "/v1/live") or "{}")
                arms = live.get("arms") or [{}]
                return live if arms[0].get("mean_score", 0) > 0.6 else None

            live = eventually(measured)
            assert live["arms"][0]["rate"] > 0
            assert live["drift"][0]["score"] > 0.5
            metrics = get(port, "/metrics")
            assert "watch_unreadable_total{" in metrics
            assert 'drift_score{feature="score",model="flight_delay"}' in metrics
            view = bus.view(DriftSuspected.topic())
            try:
                suspicions = eventually(lambda: view.poll(0.2))
            finally:
                view.close()
            [suspected] = [decode(message).body for message in suspicions]
            assert suspected.value > 0.3  # the mean was 0.17
            assert suspected.since > make.start + timedelta(minutes=1000)

            told = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
            assert time.monotonic() - told < 8
            assert sender.close(5.0) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        log.close()
        sys.stdout.write((tmp_path / "watch.log").read_text()[-6000:])
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("-data")]
