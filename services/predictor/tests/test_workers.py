"""The command as it is deployed: with two workers, and killed while it answers over Kafka."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from services.predictor.tests.lab import Json, Lab

from event_schemas import PredictionLogged, ScoreRequested
from local.broker import broker, kind
from local.process import free_port
from predictor.api.oip.grpc_tensors import SERVICE, message
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.kafka.topic_layout import TopicLayout

pytestmark = pytest.mark.integration


class Predictor:
    """The command."""

    def __init__(self, folder: Path, kafka: str, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.grpc = free_port()
        self.spool = folder / "spool"
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "predictor"],
                env={
                    **os.environ,
                    "KAFKA_BOOTSTRAP_SERVERS": kafka,
                    "KAFKA_BROKER_KIND": kind(),
                    "HTTP_PORT": self.url.rpartition(":")[2],
                    "GRPC_PORT": str(self.grpc),
                    "SPOOL_DIR": str(self.spool),
                    "MODEL_CACHE": str(folder / "cache"),
                    "MLFLOW_TRACKING_URI": str(folder),
                    "TMPDIR": str(folder),
                    **environment,
                },
                stdout=log,
                stderr=log,
            )

    def eventually(self, condition: Callable[[], object], seconds: float = 90.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < until, f"it did not come about in time: {self.said()}"
            time.sleep(0.05)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=30).status_code == 200
        except httpx.TransportError:
            return False

    def counted(self) -> float:
        text = httpx.get(f"{self.url}/metrics", timeout=30).text
        found = re.findall(r"^predictions_total\{.*\} (\S+)$", text, re.MULTILINE)
        return sum(float(value) for value in found)

    def workers(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"worker \d is process (\d+)", self.said())]

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(60)


async def ask(url: str, body: Json, count: int, prefix: str) -> int:
    """Requests over many connections; the number of those that were answered."""

    async def one(number: int) -> bool:
        # A connection of its own: the kernel chooses the worker by it.
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            answer = await client.post(
                "/predict", json={**body, "prediction_id": f"{prefix}-{number}"}
            )
            return answer.status_code == 200

    return sum(await asyncio.gather(*(one(number) for number in range(count))))


def infer(port: int) -> Any:
    """A call over a channel of its own."""
    asked = message("ModelInferRequest")(model_name="numbers")
    for name in ("hour", "distance"):
        tensor = asked.inputs.add(name=name, datatype="FP32", shape=[1])
        tensor.contents.fp32_contents.append(1.0)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=message("ModelInferRequest").SerializeToString,
            response_deserializer=message("ModelInferResponse").FromString,
        )
        return call(asked, timeout=60)


def logged(bus: KafkaBus, count: int) -> list[PredictionLogged]:
    view, found, until = bus.view("prediction.logged"), [], time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found += [decode(each).body for each in view.poll(0.2)]
    view.close()
    return found


def test_two_workers_answer_log_and_count_as_one_and_lose_nothing_when_they_stop(
    lab: Lab, tmp_path: Path, body: Json
) -> None:
    from event_schemas.policy import Feature

    numbers = tuple(
        Feature(name=name, kind="number", source="request") for name in ("hour", "distance")
    )
    with broker(tmp_path / "broker") as kafka:
        bus = KafkaBus(kafka)
        sender = bus.sender()
        for step in (
            lab.step(0, lab.version(1)),
            lab.step(0, lab.version(1, numbers, model="numbers")),
        ):
            sender.send(encode(Event(step, source="/test", time=lab.bus.clock.now()))).result(30)
        sender.close(10)
        predictor = Predictor(tmp_path, kafka, WORKERS="2")
        try:
            predictor.eventually(predictor.ready)
            assert asyncio.run(ask(predictor.url, body, 60, "a")) == 60
            assert all(infer(predictor.grpc).model_name == "numbers" for _ in range(8))
            predictor.eventually(lambda: predictor.counted() == 68)

            os.kill(predictor.workers()[0], signal.SIGKILL)
            predictor.eventually(lambda: len(predictor.workers()) == 3)
            # One that is stopped before it serves leaves the spool as it found it.
            predictor.eventually(lambda: predictor.said().count("gRPC on") == 3)
            assert asyncio.run(ask(predictor.url, body, 40, "b")) == 40
            predictor.eventually(predictor.ready)
            predictor.process.terminate()
            assert predictor.process.wait(60) == 0, predictor.said()
        finally:
            predictor.end()
        records = logged(bus, 108)
    ids = {each.prediction_id for each in records}
    assert ids >= {f"a-{n}" for n in range(60)} | {f"b-{n}" for n in range(40)}
    assert len(ids) == 108
    by_replica: dict[str, set[int]] = defaultdict(set)
    for each in records:
        by_replica[each.replica].add(each.sequence)
    assert len(by_replica) in (2, 3)
    for sequence in by_replica.values():
        assert sequence == set(range(len(sequence))), "each worker counts by itself, without a hole"
    assert not list(predictor.spool.rglob("*.spool"))


apache_only = pytest.mark.skipif(
    os.environ.get("TEST_BROKER") != "apache",
    reason="make test-kafka: the embedded broker misses no member and does not rebalance (ADR 2)",
)


@pytest.mark.parametrize(
    ("workers", "member"),
    [
        (1, {"SCORE_REQUESTED_MEMBER": "0"}),
        pytest.param(1, {}, marks=apache_only),
        pytest.param(2, {"SCORE_REQUESTED_MEMBER": "0"}, marks=apache_only),
        pytest.param(2, {}, marks=apache_only),
    ],
)
def test_requests_over_kafka_are_answered_though_whoever_has_them_is_killed(
    lab: Lab, tmp_path: Path, body: Json, workers: int, member: dict[str, str]
) -> None:
    told = {"SCORE_REQUESTED": "true", "SCORE_REQUESTED_BATCH": "1", **member}
    told["WORKERS"] = str(workers)
    with broker(tmp_path / "broker") as kafka:
        bus = KafkaBus(kafka, layout=TopicLayout(partitions=2))
        sender, view = bus.sender(), bus.view("prediction.logged")
        now = lab.bus.clock.now()
        sent: set[str] = set()
        answers: list[Event[PredictionLogged]] = []

        def send(prefix: str) -> None:
            for name in (f"{prefix}{n}" for n in range(100)):
                asked = ScoreRequested(
                    prediction_id=name,
                    model=body["model"],
                    entity=name,
                    features=body["features"],
                    event_time=body["event_time"],
                )
                sender.send(encode(Event(asked, "/test", now))).result(30)
                sent.add(name)

        def left() -> set[str]:
            answers.extend(decode(each) for each in view.poll(0.1))
            return sent - {each.body.prediction_id for each in answers}

        sender.send(encode(Event(lab.step(0, lab.version(1)), "/test", now))).result(30)
        send("a")
        predictor = Predictor(tmp_path, kafka, **told)
        try:
            predictor.eventually(lambda: not left())
            send("b")
            predictor.eventually(lambda: len(left()) < 100)
            if workers == 1:
                predictor.end()
                predictor = Predictor(tmp_path, kafka, **told)
            else:
                os.kill(predictor.workers()[-1], signal.SIGKILL)
            predictor.eventually(lambda: not left())
        finally:
            predictor.end()
            view.close()
            sender.close(10)
    assert {each.body.error for each in answers} == {None}
    assert len({each.id for each in answers}) == 200
