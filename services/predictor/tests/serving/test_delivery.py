"""No answer before its log record is acknowledged, and no number of the sequence left out.

What a policy keeps out of the log is answered, numbered by nobody, and counted.
"""

import asyncio
from concurrent.futures import Future

import httpx
import pytest
from services.predictor.tests.lab import Json, Lab, until

from event_schemas.policy import ServingPolicy
from predictor.domain.shares import is_logged
from servicekit.bus import Record
from servicekit.errors import OverloadedError
from servicekit.memory import MemoryBus
from servicekit.testing.metrics import metric_value

RATE = 0.3
POLICY = ServingPolicy(sampling_rate=RATE)
IDS = [f"p{i}" for i in range(200)]


class SlowSender:
    """Writes to the bus in memory, but acknowledges when it is told to."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.room: int | None = None
        self.waiting: list[Future[None]] = []
        self.hold = True

    def send(self, record: Record) -> "Future[None]":
        if self.room is not None:
            if self.room == 0:
                raise OverloadedError("10000 records wait for Kafka")
            self.room -= 1
        self.bus.append(record)
        future: Future[None] = Future()
        if self.hold:
            self.waiting.append(future)
        else:
            future.set_result(None)
        return future

    def poll(self) -> None:
        pass

    def close(self, timeout: float) -> int:
        return 0

    def acknowledge(self) -> None:
        for future in self.waiting:
            future.set_result(None)
        self.waiting.clear()


@pytest.fixture
def slow(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> tuple[Lab, SlowSender]:
    sender = SlowSender(lab.bus)
    monkeypatch.setattr(lab.bus, "sender", lambda *, polled: sender)
    lab.start(log_deadline_seconds=0.05).announce(lab.step(0, lab.version(1)))
    return lab, sender


def test_the_answer_waits_for_the_acknowledgement(slow: tuple[Lab, SlowSender], body: Json) -> None:
    lab, sender = slow
    lab.start(log_deadline_seconds=5)
    lab.announce(lab.step(0, lab.version(1)))

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        request = asyncio.create_task(client.post("/predict", json=body))
        await until(lambda: sender.waiting)
        await asyncio.sleep(0.01)
        assert not request.done()
        sender.acknowledge()
        return await request

    assert lab.run(talk).status_code == 200


def test_a_broker_that_does_not_acknowledge_gives_503_at_once_until_it_does(
    slow: tuple[Lab, SlowSender], body: Json
) -> None:
    lab, sender = slow

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        first = await client.post("/predict", json=body)
        second = await client.post("/predict", json=body)  # is not even computed
        assert len(lab.logged()) == 1
        sender.hold = False
        sender.acknowledge()
        await asyncio.sleep(0.01)
        return [first, second, await client.post("/predict", json=body)]

    first, second, third = lab.run(talk)
    for answer in (first, second):
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "log_unavailable"
        assert answer.headers["retry-after"] == "1"
    assert third.status_code == 200
    assert [logged.sequence for logged in lab.logged()] == [0, 1]


def test_a_full_queue_gives_503_and_its_number_to_the_next(
    slow: tuple[Lab, SlowSender], body: Json
) -> None:
    lab, sender = slow
    sender.hold, sender.room = False, 2

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        answers = await asyncio.gather(*(client.post("/predict", json=body) for _ in range(5)))
        sender.room = None
        return [*answers, await client.post("/predict", json=body)]

    answers = lab.run(talk)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503, 503]
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 503} == {"log_full"}
    assert [logged.sequence for logged in lab.logged()] == [0, 1, 2]


def test_a_caller_that_leaves_does_not_disturb_the_others(
    slow: tuple[Lab, SlowSender], body: Json
) -> None:
    lab, sender = slow
    lab.start(log_deadline_seconds=5)
    lab.announce(lab.step(0, lab.version(1)))

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        leaves = asyncio.create_task(client.post("/predict", json=body))
        stays = asyncio.create_task(client.post("/predict", json=body))
        await until(lambda: len(sender.waiting) == 2)
        leaves.cancel()
        await asyncio.sleep(0)
        sender.acknowledge()
        return await stays

    assert lab.run(talk).status_code == 200
    assert [logged.sequence for logged in lab.logged()] == [0, 1]


def test_an_answer_may_be_told_to_go_before_the_acknowledgement(
    slow: tuple[Lab, SlowSender], body: Json
) -> None:
    lab, sender = slow
    lab.start(log_deadline_seconds=5, answer_after="queue")
    lab.announce(lab.step(0, lab.version(1)))

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        answer = await client.post("/predict", json=body)
        assert len(sender.waiting) == 1, "the record is on its way, and not acknowledged"
        sender.acknowledge()
        return answer

    assert lab.run(talk).status_code == 200
    assert [logged.sequence for logged in lab.logged()] == [0]


def test_even_then_a_full_queue_and_a_broker_that_is_away_give_503(
    slow: tuple[Lab, SlowSender], body: Json
) -> None:
    lab, sender = slow
    lab.start(log_deadline_seconds=0.05, answer_after="queue")
    lab.announce(lab.step(0, lab.version(1)))

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        answers = [await client.post("/predict", json=body)]
        await asyncio.sleep(0.1)  # the deadline of the first record passes
        answers.append(await client.post("/predict", json=body))
        sender.acknowledge()
        await asyncio.sleep(0.01)
        sender.room = 0
        answers.append(await client.post("/predict", json=body))
        return answers

    answers = lab.run(talk)
    assert [answer.status_code for answer in answers] == [200, 503, 503]
    assert answers[1].json()["error"]["code"] == "log_unavailable"
    assert answers[2].json()["error"]["code"] == "log_full"


def ask_all(lab: Lab, body: Json, ids: list[str] = IDS) -> list[httpx.Response]:
    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = [{**body, "entity_id": name, "prediction_id": name} for name in ids]
        return await asyncio.gather(*(client.post("/predict", json=each) for each in bodies))

    return lab.run(talk)


def unsampled() -> float:
    return metric_value("predictions_unsampled_total", model="flight_delay")


def test_all_are_answered_and_a_share_is_logged_without_a_hole_in_the_sequence(
    lab: Lab, body: Json
) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    before = unsampled()
    assert {answer.status_code for answer in ask_all(lab, body)} == {200}
    found = lab.logged()
    assert {each.prediction_id for each in found} == {i for i in IDS if is_logged(i, RATE)}
    assert sorted(each.sequence for each in found) == list(range(len(found)))
    assert {each.sampling_rate for each in found} == {RATE}
    assert sum(1 / each.sampling_rate for each in found) > 100, "they stand for all"
    assert unsampled() - before == len(IDS) - len(found)


def test_a_request_that_is_sent_again_is_decided_as_before(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    for _ in range(2):
        ask_all(lab, body)
    counts = [each.prediction_id for each in lab.logged()]
    assert sorted(counts) == sorted([i for i in IDS if is_logged(i, RATE)] * 2)


def test_a_failed_one_has_the_same_chance(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    answers = ask_all(lab, {**body, "features": {}})
    assert {answer.status_code for answer in answers} == {422}
    assert len(lab.logged()) == sum(is_logged(i, RATE) for i in IDS)


def test_each_arm_has_the_rate_of_its_own_version(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1), lab.version(2, bias=1.0, serving=POLICY), weight=0.5))
    ask_all(lab, body)
    rates = {(each.version, each.sampling_rate) for each in lab.logged()}
    assert rates == {("1", 1.0), ("2", RATE)}


def test_a_new_rate_comes_into_force_with_its_step(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1)))
    lab.announce(lab.step(1, lab.version(1, serving=POLICY)))
    ask_all(lab, body)
    assert len(lab.logged()) == sum(is_logged(i, RATE) for i in IDS)
