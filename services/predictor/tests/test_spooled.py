"""Kafka is away, and predictions are given and not lost: through HTTP, and over kill -9."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from services.predictor.tests.lab import Json, Lab

from local.broker import broker
from local.process import free_port
from predictor.adapters.journal.spool.spool import Spool
from predictor.adapters.journal.spool_journal import SpoolJournal
from servicekit.bus import Batch
from servicekit.errors import ServicekitError
from servicekit.kafka import KafkaBus
from servicekit.memory import MemoryBus

Settled = Callable[[ServicekitError | None], None]


class Brokers:
    """The bus in memory, which can be away."""

    def __init__(self, bus: MemoryBus) -> None:
        self.inner = bus.sender()
        self.up = False
        self.queue: list[tuple[Batch, Settled]] = []

    def send_batch(self, batch: Batch, settled: Settled) -> int:
        self.queue.append((batch, settled))
        return len(batch.records)

    def poll(self) -> None:
        if self.up:
            for batch, settled in self.queue:
                self.inner.send_batch(batch, settled)
            self.queue.clear()

    def close(self, timeout: float) -> int:
        return 0


@pytest.fixture
def without_kafka(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[Lab, list[Brokers]]:
    """The service, and every sender that it made."""
    made: list[Brokers] = []
    memory = lab.bus.sender

    def sender(*, polled: bool, patient: bool) -> Brokers:
        assert polled
        assert patient
        monkeypatch.setattr(lab.bus, "sender", memory)
        made.append(Brokers(lab.bus))
        monkeypatch.setattr(lab.bus, "sender", sender)
        return made[-1]

    monkeypatch.setattr(lab.bus, "sender", sender)
    return lab, made


async def logged(lab: Lab, count: int) -> None:
    async with asyncio.timeout(10):
        while len(lab.logged()) < count:  # noqa: ASYNC110 - the bus says nothing by itself
            await asyncio.sleep(0.01)


def test_while_kafka_is_away_requests_are_answered_and_the_next_process_logs_them(
    without_kafka: tuple[Lab, list[Brokers]], body: Json, tmp_path: Path
) -> None:
    lab, brokers = without_kafka
    settings = {"spool_dir": tmp_path / "spool", "log_deadline_seconds": 0.05}
    lab.start(**settings).announce(lab.step(0, lab.version(1)))

    async def ask(client: httpx.AsyncClient) -> list[int]:
        async with lab.app.router.lifespan_context(lab.app):
            return [
                (await client.post("/predict", json={**body, "prediction_id": f"p{n}"})).status_code
                for n in range(20)
            ]

    assert lab.run(ask) == [200] * 20
    assert lab.logged() == []
    lab.start(**settings)
    brokers[-1].up = True

    async def serve(client: httpx.AsyncClient) -> None:
        async with lab.app.router.lifespan_context(lab.app):
            await logged(lab, 20)

    lab.run(serve)
    assert [each.prediction_id for each in lab.logged()] == [f"p{n}" for n in range(20)]
    assert [each.sequence for each in lab.logged()] == list(range(20))
    assert not list((tmp_path / "spool").rglob("*.spool"))


@pytest.mark.parametrize(("policy", "status"), [("refuse", 503), ("drop", 200)])
def test_over_the_bound_the_policy_decides(
    without_kafka: tuple[Lab, list[Brokers]], body: Json, tmp_path: Path, policy: str, status: int
) -> None:
    lab, brokers = without_kafka
    bound = 1024 * 1024
    lab.start(spool_dir=tmp_path / "spool", spool_max_bytes=bound, spool_full=policy)
    lab.announce(lab.step(0, lab.version(1)))
    large = {**body, "features": {**body["features"], "carrier": "y" * 9000}}
    asked = 150

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        async with lab.app.router.lifespan_context(lab.app):
            answers = [await client.post("/predict", json=large) for _ in range(asked)]
            held = sum(f.stat().st_size for f in (tmp_path / "spool").rglob("*.spool"))
            assert bound * 0.9 < held <= bound
            brokers[-1].up = True
            while (  # noqa: ASYNC110 - as a caller would, after a 503
                last := await client.post("/predict", json=body)
            ).status_code != 200:
                await asyncio.sleep(0.05)
            await logged(lab, held // 10_000)
            answers.append(last)
        return answers

    answers = lab.run(talk)
    given = sum(answer.status_code == 200 for answer in answers)
    refused = [answer for answer in answers if answer.status_code != 200]
    numbers = [each.sequence for each in lab.logged()]
    assert answers[0].status_code == 200
    assert answers[asked - 1].status_code == status
    if policy == "refuse":
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}
        codes = {answer.json()["error"]["code"] for answer in refused}
        assert codes <= {"log_full", "log_unavailable"}
        assert numbers == list(range(given)), "all that was given is in the log, without a hole"
    else:
        assert given == asked + 1
        assert numbers == sorted(numbers)
        assert numbers[0] == 0
        assert len(numbers) < given, "what is dropped is missing by its number"


def test_a_folder_that_cannot_be_written_ends_the_process_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "SPOOL_DIR": str(tmp_path / "file"), "HTTP_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "predictor"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"SPOOL_DIR={tmp_path / 'file'}: ")


CHILD = """
    import asyncio, sys, time
    from pathlib import Path
    from predictor.adapters.journal.spool.spool import Spool
    from predictor.adapters.journal.spool_journal import SpoolJournal
    from servicekit.bus import Batch
    from servicekit.kafka import KafkaBus

    async def main():
        bus = KafkaBus(sys.argv[1])
        journal = SpoolJournal(
            Spool(Path(sys.argv[2]), 1 << 30), bus.sender(polled=True, patient=True), refuse=True)
        journal.start()
        n = 0
        while True:
            ids = range(n, n + 7)
            records = [(b"%d" % i, b"x" * 300, ()) for i in ids]
            batch = Batch("prediction.logged", (("h", b"1"),), records)
            journal.write(batch, lambda sent, error: print(ids[-1], flush=True))
            n += 7
            await asyncio.sleep(0)

    asyncio.run(main())
"""


@pytest.mark.integration
def test_no_answered_prediction_is_lost_by_kills_while_the_broker_comes_and_goes(
    tmp_path: Path,
) -> None:
    port, answered = free_port(), []
    address = f"127.0.0.1:{port}"

    def killed_after(batches: int) -> None:
        """Answer at least so many batches, and be killed in the midst of it."""
        command = [sys.executable, "-c", textwrap.dedent(CHILD), address, str(tmp_path / "spool")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(batches):
                assert child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            said = child.stdout.read().split("\n")
            last = [int(word) for word in said[:-1]][-1:] or [batches * 7 - 1]
            answered.append(last[0] + 1)

    killed_after(30)
    with broker(tmp_path / "kafka", port):
        killed_after(30)
        bus = KafkaBus(address)
        asyncio.run(drained(bus, tmp_path / "spool"))
        view, keys, until = bus.view("prediction.logged"), [], time.monotonic() + 30
        while not (view.caught_up and keys) and time.monotonic() < until:
            keys += [int(message.key or b"") for message in view.poll(0.2)]
        view.close()
    begins = [i for i, key in enumerate(keys) if key == 0]
    first = keys[: begins[-1]]
    assert set(first) >= set(range(answered[0]))
    assert set(keys[begins[-1] :]) >= set(range(answered[1]))
    assert list(dict.fromkeys(first)) == sorted(set(first)), "in their order, repeats aside"


async def drained(bus: KafkaBus, folder: Path) -> None:
    """A process that sends what the killed ones left."""
    journal = SpoolJournal(
        Spool(folder, 1 << 30), bus.sender(polled=True, patient=True), refuse=True
    )
    left = await asyncio.to_thread(journal.close, 30)
    assert left == 0
