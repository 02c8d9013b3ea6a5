"""A hundred switches of version while requests are under way."""

import asyncio
import threading
import time

import httpx
from services.predictor.tests.lab import Json, Lab

SWITCHES = 100
WORKERS = 32


def test_no_request_fails_and_none_is_answered_by_a_version_out_of_force(
    lab: Lab, body: Json
) -> None:
    lab.announce(lab.step(0, lab.version(0)))
    published = {0: 0.0}
    """When the step of a number may have come into force at the earliest."""
    in_force = {0: 0.0}
    """When it certainly was."""
    over = threading.Event()
    answers: dict[str, tuple[float, float, httpx.Response]] = {}

    def switch() -> None:
        try:
            for number in range(1, SWITCHES + 1):
                before = len(answers)
                step = lab.step(number, lab.version(number % 3, bias=float(number % 3)))
                published[number] = time.monotonic()
                lab.bus.publish(step)
                deadline = time.monotonic() + 10
                while lab.follower.routes.of("flight_delay").sequence < number or (
                    len(answers) < before + 10  # some were asked in between
                ):
                    assert time.monotonic() < deadline, f"step {number} is not in force"
                    time.sleep(0.001)
                in_force[number] = time.monotonic()
        finally:
            over.set()

    async def talk(client: httpx.AsyncClient) -> None:
        async def work(worker: int) -> None:
            n = 0
            while not over.is_set():
                name, n = f"{worker}-{n}", n + 1
                asked = time.monotonic()
                answer = await client.post("/predict", json={**body, "prediction_id": name})
                answers[name] = (asked, time.monotonic(), answer)

        await asyncio.gather(*(work(worker) for worker in range(WORKERS)))

    stop = threading.Event()
    threads = [
        threading.Thread(target=lab.follower.run, args=(stop,)),
        threading.Thread(target=switch),
    ]
    for thread in threads:
        thread.start()
    try:
        lab.run(talk)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert len(in_force) == SWITCHES + 1
    assert {answer.status_code for _, _, answer in answers.values()} == {200}
    logged = {each.prediction_id: each for each in lab.logged()}
    assert logged.keys() == answers.keys()
    used = set()
    for name, (asked, answered, answer) in answers.items():
        number = int(logged[name].rollout_id.removeprefix("rollout-"))
        used.add(number)
        assert answer.json()["version"] == logged[name].version == str(number % 3)
        assert published[number] <= answered, "not before it was told of"
        after = in_force.get(number + 1)
        assert after is None or asked <= after, f"step {number} was over when it was asked"
    assert len(used) > SWITCHES // 2
