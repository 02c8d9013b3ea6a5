"""Five million events, two days of event time, replayed fast through every service.

Each service is a process of its own over one node of Apache Kafka, as its console script starts it.
The predictor is asked over HTTP, 256 at once, and both processes of the drift monitor read what it
logs; labels, records, measurements of arms and commits of the lake are sent to Kafka, never further
ahead than what their reader has taken. Once a second the resident memory of each process and its
children is noted; the line through the second half of its events says whether it grows.

Run: .venv/bin/python -m bench.memory [--events 5000000] [--minutes 14]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench.memory import report
from bench.memory.services import Service, beginnings, environment, services
from bench.memory.streams import Asking, arrivals, labels, measurements, records
from confluent_kafka import Consumer, Producer, TopicPartition

from local.broker import KINDS
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus

AHEAD = 40_000
"""Events of a topic that its reader has yet to take, at most."""
SHARES = {"predictions": 0.12, "labels": 0.12, "records": 0.6, "measurements": 0.08}
"""Of all events; the rest are commits of the lake."""
READY_SECONDS = 120
KEPT = 10
"""One in so many samples is written into the result; all of them make the line."""
MODELS = Path(__file__).parents[2] / "models"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--minutes", type=float, default=14, help="after which it ends in any case")
    parser.add_argument("--broker", choices=KINDS, default="apache")
    parser.add_argument("--result", type=Path, help="writes JSON here, and a plot beside it")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-memory-")))
        bootstrap = stack.enter_context(KINDS[options.broker](folder / "broker"))
        replay = Replay(stack, folder, bootstrap, options.events)
        try:
            replay.run(options.minutes * 60)
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                print(f"{log.name}: {log.read_text(errors='replace')[-1500:]}", file=sys.stderr)
            raise
        result = replay.result()
    result |= {
        "taken": datetime.now(UTC).date().isoformat(),
        "broker": options.broker,
        "machine": {"python": platform.python_version(), "cores": os.cpu_count()},
    }
    report.show(result)
    if options.result:
        options.result.write_text(json.dumps(result) + "\n")
        report.plot(result, options.result.with_suffix(".png"))


class Replay:
    """Sends, and watches."""

    def __init__(self, stack: ExitStack, folder: Path, bootstrap: str, events: int) -> None:
        self._places = Places(stack, bootstrap)
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "lz4"}
        )
        self._begin(bootstrap, beginnings(folder))
        self.services = services()
        env = environment(folder, bootstrap, MODELS)
        for service in self.services:
            own = {"MODELS_DIR": str(folder / "models")} if service.name == "ingest" else {}
            service.start(stack, folder, env | own)
        for service in self.services:
            _until_ready(service)
        count = {name: int(events * share) for name, share in SHARES.items()}
        self._asking = Asking(self.services[0].port, count["predictions"])
        self._labels = labels(count["labels"])
        self._streams = [
            self._labels,
            records(count["records"]),
            measurements(count["measurements"]),
            arrivals(events - sum(count.values())),
        ]
        self._series: dict[str, list[tuple[float, int, float]]] = {
            s.name: [] for s in self.services
        }
        self._began = time.monotonic()

    def _begin(self, bootstrap: str, bodies: list) -> None:
        sender = KafkaBus(bootstrap).sender()
        for identity, body in bodies:
            event = Event(body=body, source="/bench", time=datetime.now(UTC), id=identity)
            sender.send(encode(event)).result(60)
        sender.close(5)

    def run(self, seconds: float) -> None:
        """Send all, and wait until all is taken, as long as there is time."""
        over = threading.Event()
        watching = threading.Thread(target=self._watch, args=(over,))
        watching.start()
        asking = threading.Thread(target=self._ask, args=(over,))
        asking.start()
        try:
            while not over.is_set() and watching.is_alive() and asking.is_alive():
                for stream in self._streams:
                    ahead = AHEAD + self._taken(stream.topic)
                    if stream is self._labels:
                        # No label before its prediction.
                        ahead = min(ahead, self._asking.sent)
                    stream.send(self._producer, ahead)
                self._producer.poll(0.1)
                late = time.monotonic() - self._began > seconds
                if late or self._done():
                    break
        finally:
            over.set()
            watching.join()
            asking.join()

    def _ask(self, over: threading.Event) -> None:
        while not over.is_set() and self._asking.sent < self._asking.total:
            ahead = self._taken("prediction.logged") + AHEAD
            if self._asking.sent < ahead:
                self._asking.ask(min(ahead, self._asking.sent + 20 * 256))
            else:
                time.sleep(0.1)
        while not over.is_set():
            time.sleep(0.2)

    def _taken(self, topic: str) -> int:
        """Events of a topic that its exact reader has taken."""
        reader = next(s for s in self.services if topic in s.topics and s.group)
        return self._places.known.get((reader.group, topic), 0)

    def _done(self) -> bool:
        sent = {s.topic: s.total for s in self._streams}
        sent["prediction.logged"] = self._asking.total
        return all(
            self._places.known.get((service.group, topic), 0) >= sent[topic]
            for service in self.services
            if service.group
            for topic in service.topics
        )

    def _watch(self, over: threading.Event) -> None:
        printed = 0.0
        while not over.is_set():
            self._places.look(self.services)
            now = time.monotonic() - self._began
            for service in self.services:
                self._series[service.name].append(
                    (round(now, 1), self._places.of(service), round(service.resident(), 1))
                )
            if now - printed > 15:
                printed = now
                line = ", ".join(
                    f"{name} {rows[-1][1]:,} {rows[-1][2]:.0f} MB"
                    for name, rows in self._series.items()
                )
                print(f"{now:5.0f} s: {line}", file=sys.stderr, flush=True)
            over.wait(1.0)

    def result(self) -> dict:
        """What was replayed, and what memory did."""
        events = self._asking.sent + sum(stream.sent for stream in self._streams)
        return {
            "events": events,
            "seconds": round(time.monotonic() - self._began, 1),
            "services": [
                {"service": name, **report.summary(rows), "samples": rows[::KEPT]}
                for name, rows in self._series.items()
            ],
        }


class Places:
    """How far each group has read, as Kafka knows."""

    def __init__(self, stack: ExitStack, bootstrap: str) -> None:
        self._stack = stack
        self._bootstrap = bootstrap
        self._clients: dict[str, Consumer] = {}
        self.known: dict[tuple[str | None, str], int] = {}

    def look(self, services: list[Service]) -> None:
        """Ask again."""
        for service in services:
            group = service.group or "bench-ends"
            if group not in self._clients:
                client = Consumer({"bootstrap.servers": self._bootstrap, "group.id": group})
                self._stack.callback(client.close)
                self._clients[group] = client
            for topic in service.topics:
                place = TopicPartition(topic, 0)
                if service.group is None:
                    offset = self._clients[group].get_watermark_offsets(place, timeout=30)[1]
                else:
                    offset = self._clients[group].committed([place], timeout=30)[0].offset
                self.known[service.group, topic] = max(0, offset)

    def of(self, service: Service) -> int:
        """Events that a service has taken or made."""
        return sum(self.known.get((service.group, topic), 0) for topic in service.topics)


def _until_ready(service: Service) -> None:
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        try:
            with urlopen(f"http://127.0.0.1:{service.port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            service.resident()
            time.sleep(0.2)
    raise SystemExit(f"{service.name} was not ready after {READY_SECONDS} s")


if __name__ == "__main__":
    main()
