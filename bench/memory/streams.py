"""The events that are replayed: two days of a busy platform, in the order of their event time."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import Any

from bench.serving.model import NUMBERS, rows
from confluent_kafka import Producer

from event_schemas import ArmMeasured, DataArrived, EventBody, LabelArrived, RecordReceived
from servicekit.bus import Record
from servicekit.cloudevents import encode
from servicekit.event import Event

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
"""Event time of the first prediction; a Monday, and in the past."""
SPAN = timedelta(hours=48)
MODEL = "bare"
CANARY = "canary"
DATASET = "flights"
HOUR = timedelta(hours=1)
_MEASURED: dict[str, Any] = {
    "model": CANARY,
    "rollout_id": f"{CANARY}-2-approved",
    "weight": 0.1,
    "n": 5,
    "errors": 0,
    "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    "scores": {"counts": [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]},
    "loss": {"n": 4, "total": 1.5, "total_squared": 0.9, "positives": 1},
    "label_maturity": 0.8,
    "coverage": 1.0,
}
"""What all measurements of the canary have alike."""
INSTANCES = 256
"""Predictions of one request."""
CALLERS = 2


Make = Callable[[int], tuple[str, str]]
"""Key and body of the n-th event; written by hand, for the sender shares the machine."""


class Sent:
    """A stream of events into one topic, as far as it was sent."""

    def __init__(self, contract: type[EventBody], total: int, make: Make) -> None:
        self.topic = contract.topic()
        self.total = total
        self.sent = 0
        self._make = make
        body = contract.model_validate_json(make(0)[1])
        self._shared = _shared(encode(Event(body=body, source="/bench", time=BEGIN)))

    def send(self, producer: Producer, upto: int) -> None:
        """Send until so many were sent in all."""
        for n in range(self.sent, min(upto, self.total)):
            key, body = self._make(n)
            headers = [*self._shared, ("ce_id", f"{self.topic}-{n}".encode())]
            while True:
                try:
                    producer.produce(self.topic, body.encode(), key.encode(), headers=headers)
                    break
                except BufferError:
                    producer.poll(0.05)
            self.sent = n + 1
            if not n % 500:
                producer.poll(0)


def _shared(record: Record) -> list[tuple[str, bytes]]:
    """The headers that all events of a stream share."""
    own = {"ce_id", "ce_subject", "ce_correlationid", "ce_causationid"}
    return [(name, value) for name, value in record.headers if name not in own]


def labels(total: int) -> Sent:
    """The truth about each prediction, some minutes after it."""

    def label(n: int) -> tuple[str, str]:
        observed = moment(n, total) + timedelta(minutes=5)
        return f"p{n}", (
            f'{{"prediction_id":"p{n}","model":"{MODEL}","label":{int(n * 7 % 11 < 4)},'
            f'"observed_at":"{observed.isoformat()}"}}'
        )

    return Sent(LabelArrived, total, label)


def records(total: int) -> Sent:
    """Rows of a dataset, one in a thousand of which breaks its contract."""

    def record(n: int) -> tuple[str, str]:
        distance = n % 5000 if (n + 1) % 1000 else -1
        return f"e{n}", (
            f'{{"dataset":"{DATASET}","entity":"e{n}","event_time":'
            f'"{moment(n, total).isoformat()}","record":'
            f'{{"distance":{distance},"carrier":"c{n % 15}","delay":{n % 90}}}}}'
        )

    return Sent(RecordReceived, total, record)


def measurements(total: int) -> Sent:
    """Both arms of a canary, hour by hour, again and again as labels come."""

    def measured(n: int) -> tuple[str, str]:
        hour = BEGIN + timedelta(hours=n // 2 % 24)
        body = _MEASURED | {
            "version": "2" if n % 2 else "1",
            "arm": "challenger" if n % 2 else "champion",
            "window": {"start": hour.isoformat(), "end": (hour + HOUR).isoformat()},
            "revision": n // 48,
        }
        return CANARY, json.dumps(body)

    return Sent(ArmMeasured, total, measured)


def arrivals(total: int) -> Sent:
    """What ingest says of each commit of a dataset."""

    def arrived(n: int) -> tuple[str, str]:
        time = moment(n, total)
        return DATASET, (
            f'{{"dataset":"{DATASET}","table_uri":"file:///lake/flights","table_version":{n},'
            f'"rows":10,"total_rows":{10 * n + 10},"quarantined_rows":0,"contract_version":"1",'
            f'"event_time":{{"start":"{time.isoformat()}","end":"{(time + HOUR).isoformat()}"}},'
            '"profile":[]}'
        )

    return Sent(DataArrived, total, arrived)


def moment(n: int, total: int) -> datetime:
    """Event time of the n-th of so many events."""
    return BEGIN + SPAN * (n / total)


class Asking:
    """Callers that ask the predictor about many at once; what it answers, it logs."""

    def __init__(self, port: int, total: int) -> None:
        self.total = total
        self.sent = 0
        self._port = port
        self._rows = [json.dumps(dict(zip(NUMBERS, row.tolist(), strict=True))) for row in rows()]
        self._pool = ThreadPoolExecutor(CALLERS)

    def ask(self, upto: int) -> None:
        """Ask until so many were asked in all, and each was answered."""
        starts = range(self.sent, min(upto, self.total), INSTANCES)
        ends = [min(start + INSTANCES, self.total) for start in starts]
        list(self._pool.map(self._request, starts, ends))
        self.sent = max([self.sent, *ends])

    def _request(self, start: int, end: int) -> None:
        instances = ",".join(
            f'{{"entity_id":"e{n}","prediction_id":"p{n}","features":{self._rows[n % 1000]},'
            f'"event_time":"{moment(n, self.total).isoformat()}"}}'
            for n in range(start, end)
        )
        body = f'{{"instances":[{instances}]}}'
        for _ in _tries():
            connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
            try:
                connection.request(
                    "POST",
                    f"/v1/models/{MODEL}/predict",
                    body,
                    {"content-type": "application/json"},
                )
                answer = connection.getresponse()
                text = answer.read()
                if answer.status == 200 and b'"error"' not in text[:200]:
                    return
                if answer.status != 503:
                    raise SystemExit(f"the predictor answered {answer.status}: {text[:500]!r}")
            except (OSError, HTTPException):
                continue
            finally:
                connection.close()
        raise SystemExit("the predictor did not answer")


def _tries() -> Iterator[int]:
    for n in count():
        if n > 60:
            return
        yield n
        time.sleep(0.5)


def contract(folder: Path) -> None:
    """The contract of the dataset."""
    datasets = folder / "some_model" / "datasets"
    datasets.mkdir(parents=True)
    (datasets / "flights.yaml").write_text(
        f"dataset: {DATASET}\ncolumns:\n"
        "  distance: {type: number, required: true, min: 0}\n"
        "  carrier: {type: string}\n  delay: {type: number}\n"
    )
