import asyncio
import os
import sys
import threading
import time
import weakref
from pathlib import Path

import httpx
import pytest
from services.predictor.tests.lab import Features, Json, Lab

from event_schemas import RolloutStep
from predictor.domain.routing import Route
from predictor.serving.metrics import LOAD_FAILURES
from predictor.serving.routes.follow_rollout import MAX_UNREADABLE, RolloutFollower
from servicekit.bus import Record, TopicView
from servicekit.errors import UnavailableError
from servicekit.testing.metrics import metric_value


def failures_counted(reason: str, model: str = "flight_delay") -> float:
    return metric_value("model_load_failures_total", model=model, reason=reason)


def load_failures_by_model() -> list[str]:
    metrics = [each for each in LOAD_FAILURES.collect() if each.name == "model_load_failures"]
    return [sample.labels["model"] for each in metrics for sample in each.samples]


def unreadable_counted() -> float:
    name = "tailrace_unreadable_messages_total"
    return metric_value(name, service="predictor", topic="rollout.step")


def outages_counted() -> float:
    return metric_value("tailrace_outages_total", component="rollout-follower")


def in_force(lab: Lab, model: str = "flight_delay") -> Route:
    return lab.follower.routes.by_model[model]


def test_a_topic_with_a_model_is_ready_when_the_model_is_loaded(lab: Lab) -> None:
    lab.artifacts.outages[str(lab.folder / "flight_delay-1.onnx")] = 1
    lab.announce(lab.step(0, lab.version(1)))
    assert not lab.follower.ready
    (failure,) = lab.follower.failures.values()
    assert (failure.reason, failure.will_retry) == ("unavailable", True)


def test_an_outage_of_the_artifacts_is_waited_out(lab: Lab) -> None:
    lab.artifacts.outages[str(lab.folder / "flight_delay-1.onnx")] = 2
    lab.bus.publish(lab.step(0, lab.version(1)))
    now = 0.0
    lab.follower._now = lambda: now
    for _ in range(10):
        lab.follower.step()
        now += 1.0
    assert lab.follower.ready
    assert lab.follower.failures == {}
    assert len(lab.artifacts.fetched) == 1


def test_only_the_newest_step_of_the_past_is_loaded(lab: Lab) -> None:
    lab.announce(*(lab.step(i, lab.version(i + 1)) for i in range(5)))
    assert len(lab.artifacts.fetched) == 1
    assert (in_force(lab).sequence, in_force(lab).champion.version.version) == (4, "5")


@pytest.mark.parametrize("sequence", [0, 4, 5])
def test_a_step_that_is_not_newer_is_ignored(lab: Lab, sequence: int) -> None:
    lab.announce(lab.step(5, lab.version(1))).announce(lab.step(sequence, lab.version(2)))
    assert (in_force(lab).sequence, in_force(lab).champion.version.version) == (5, "1")
    assert len(lab.artifacts.fetched) == 1


def test_a_version_that_stays_is_not_loaded_again(lab: Lab) -> None:
    one, two = lab.version(1), lab.version(2)
    lab.announce(lab.step(0, one))
    kept = in_force(lab).champion.version
    lab.announce(lab.step(1, one, two, weight=0.1)).announce(lab.step(2, one, two, weight=1.0))
    assert in_force(lab).champion.version is kept
    lab.announce(lab.step(3, two))
    assert [uri.rsplit("-")[-1] for uri in lab.artifacts.fetched] == ["1.onnx", "2.onnx"]


def test_a_version_whose_features_changed_is_another(lab: Lab, requested: Features) -> None:
    one = lab.version(1)
    lab.announce(lab.step(0, one))
    features = (*requested[:2], requested[2].model_copy(update={"default": 3.0}))
    lab.announce(lab.step(1, one.model_copy(update={"features": features})))
    assert in_force(lab).champion.version.signature.inputs[2].default == 3.0


def test_a_wrong_sha256_keeps_the_old_routes(serving: Lab, body: Json) -> None:
    before = failures_counted("sha256")
    serving.announce(serving.step(1, serving.version(2, sha256="0" * 64)))
    assert failures_counted("sha256") == before + 1
    assert in_force(serving).sequence == 0
    assert serving.post(body).json()["version"] == "1"
    for _ in range(3):
        serving.follower.step()
    assert failures_counted("sha256") == before + 1, "what cannot work is not tried again"
    serving.announce(serving.step(2, serving.version(3)))
    assert in_force(serving).sequence == 2
    assert serving.follower.failures == {}


def test_a_file_that_is_no_onnx_is_not_loaded(serving: Lab) -> None:
    (serving.folder / "flight_delay-2.onnx").write_bytes(b"no model")
    serving.announce(serving.step(1, serving.version(2)))
    assert serving.follower.failures["flight_delay"].reason == "unreadable"
    assert in_force(serving).sequence == 0


def test_a_file_that_takes_other_features_is_not_loaded(serving: Lab, requested: Features) -> None:
    two = serving.version(2, requested)
    fewer = two.model_copy(update={"features": requested[:2]})
    serving.announce(serving.step(1, fewer))
    failure = serving.follower.failures["flight_delay"]
    assert failure.reason == "signature"
    assert "hour (an ONNX input only)" in failure.message


def test_a_format_that_is_not_served_is_named_with_those_that_are(serving: Lab) -> None:
    serving.announce(serving.step(1, serving.version(2, format="json")))
    failure = serving.follower.failures["flight_delay"]
    assert failure.reason == "format"
    assert "is json: served are onnx, skops" in failure.message


def test_a_step_that_cannot_be_read_is_counted_and_passed_over(lab: Lab) -> None:
    before, unreadable = failures_counted("step", ""), unreadable_counted()
    lab.bus.append(Record("rollout.step", b"broken", b"{}"))
    lab.announce(lab.step(0, lab.version(1)))
    assert failures_counted("step", "") == before + 1
    assert unreadable_counted() == unreadable + 1, "the alert UnreadableMessages watches it"
    assert lab.follower.ready
    assert in_force(lab).sequence == 0


def test_fault_1_9_keys_of_kafka_are_no_labels_and_fill_no_memory(serving: Lab) -> None:
    for number in range(MAX_UNREADABLE + 50):
        serving.bus.append(Record("rollout.step", b"key-%d" % number, b"{}"))
    serving.bus.append(Record("rollout.step", b"flight_delay", b"{}"))
    before = failures_counted("step")
    serving.follower.step()
    assert not any("key-" in labels for labels in load_failures_by_model())
    assert failures_counted("step") == before + 1
    assert MAX_UNREADABLE <= len(serving.follower.failures) <= MAX_UNREADABLE + 1


def test_fault_1_9_a_failure_is_told_without_the_password_of_an_address(
    serving: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(uri: str, sha256: str) -> Path:
        raise UnavailableError("https://me:secret@mlflow.example is away")

    monkeypatch.setattr(serving.artifacts, "fetch", away)
    serving.announce(serving.step(1, serving.version(2)))
    (failure,) = serving.get("/health")["failures"]
    assert failure["message"] == "https://***@mlflow.example is away"


def test_a_broken_challenger_leaves_an_old_route_as_it_is(serving: Lab) -> None:
    bad = serving.version(2, sha256="0" * 64)
    serving.announce(serving.step(1, serving.version(1), bad, weight=0.5))
    assert (in_force(serving).sequence, in_force(serving).weight) == (0, 0.0)


def test_after_a_restart_the_champion_answers_for_a_broken_challenger(lab: Lab, body: Json) -> None:
    bad = lab.version(2, sha256="0" * 64)
    lab.announce(lab.step(7, lab.version(1), bad, weight=1.0))
    answer = lab.post(body).json()
    assert (answer["version"], answer["arm"]) == ("1", "champion")
    assert lab.logged()[0].weight == 0.0
    assert lab.follower.ready
    assert lab.get("/health")["status"] == "degraded"


def test_a_deleted_rollout_is_served_no_more(serving: Lab, body: Json) -> None:
    serving.announce(serving.step(0, serving.version(1, model="other")))
    serving.bus.append(Record("rollout.step", b"flight_delay", None))
    serving.follower.step()
    assert set(serving.follower.routes) == {"other"}
    assert serving.post(body).status_code == 404
    serving.announce(serving.step(0, serving.version(1)))
    assert serving.post(body).status_code == 200


def test_models_fail_alone(lab: Lab, body: Json) -> None:
    assert not lab.follower.tried
    lab.announce(
        lab.step(0, lab.version(1, model="other", sha256="0" * 64)), lab.step(0, lab.version(1))
    )
    assert lab.post(body).status_code == 200
    assert lab.follower.tried


def test_fault_1_5_after_a_restart_nobody_waits_for_what_can_never_be_loaded(lab: Lab) -> None:
    lab.announce(lab.step(0, lab.version(1, model="other", sha256="0" * 64)))
    assert not lab.follower.ready, "no model answers"
    lab.announce(lab.step(0, lab.version(1)))
    assert lab.follower.ready


def test_fault_1_5_after_a_restart_what_cannot_be_loaded_for_now_is_waited_for_a_while(
    lab: Lab,
) -> None:
    now = 0.0
    lab.follower._now = lambda: now
    lab.artifacts.outages[str(lab.folder / "other-1.onnx")] = 1000
    lab.announce(lab.step(0, lab.version(1, model="other")), lab.step(0, lab.version(1)))
    assert (lab.follower.ready, lab.follower.tried) == (False, True)
    now = 59.9
    lab.follower.step()
    assert not lab.follower.ready
    now = 60.0
    lab.follower.step()
    assert lab.follower.ready
    assert lab.follower.failures["other"].will_retry


def test_fault_1_5_a_load_that_never_ends_keeps_no_other_model_waiting(
    lab: Lab, body: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, fetch = threading.Event(), lab.artifacts.fetch

    def slow(uri: str, sha256: str) -> Path:
        if uri.endswith("other-1.onnx"):
            end.wait(60)
        return fetch(uri, sha256)

    monkeypatch.setattr(lab.artifacts, "fetch", slow)
    monkeypatch.setattr(lab.follower, "_load_patience", 0.01)
    lab.announce(lab.step(0, lab.version(1, model="other")))
    monkeypatch.setattr(lab.follower, "_load_patience", 10.0)
    lab.announce(lab.step(0, lab.version(1)))
    lab.announce(lab.step(1, lab.version(1), lab.version(2), weight=0.5))
    lab.announce(lab.step(2, lab.version(1)))
    assert in_force(lab).sequence == 2
    assert lab.post(body).status_code == 200
    assert "other" not in lab.follower.routes.by_model
    # Another step of the same version takes over what is under way.
    lab.announce(lab.step(1, lab.version(1, model="other"), salt="another"))
    end.set()
    (load,) = lab.follower._pending["other"].loads
    assert load.result(60) is not None
    lab.follower.step()
    assert in_force(lab, "other").sequence == 1
    assert [Path(uri).stem for uri in lab.artifacts.fetched].count("other-1") == 1


def test_fault_1_5_a_rollback_waits_for_no_other_model_that_is_loaded(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = lab.version(1), lab.version(2)
    lab.announce(lab.step(0, old, new, weight=0.5))
    fetch, seen = lab.artifacts.fetch, []

    def slow(uri: str, sha256: str) -> Path:
        route = in_force(lab)
        seen.append((Path(uri).stem, route.sequence))
        if uri.endswith("first-1.onnx"):  # said while this one is on its way
            lab.bus.publish(lab.step(2, old))
        return fetch(uri, sha256)

    monkeypatch.setattr(lab.artifacts, "fetch", slow)
    others = [lab.step(0, lab.version(1, model=name)) for name in ("first", "second")]
    lab.announce(*others, lab.step(1, old, new, weight=0.7))
    assert seen == [("first-1", 1), ("second-1", 2)]


def test_a_model_that_is_announced_and_not_loaded_is_missing_for_now(lab: Lab, body: Json) -> None:
    lab.announce(
        lab.step(0, lab.version(1, model="other")), lab.step(0, lab.version(1, sha256="0" * 64))
    )
    refused = lab.post(body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "loading")
    assert "Retry-After" in refused.headers
    lab.bus.append(Record("rollout.step", b"flight_delay", None))
    lab.follower.step()
    assert lab.post(body).status_code == 404


def test_a_version_is_freed_when_the_last_request_that_holds_it_is_answered(
    with_store: Lab, body: Json, requested: Features, stored: Features
) -> None:
    with_store.features.delay = 0.05
    old = weakref.ref(in_force(with_store).champion.version)

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        request = asyncio.create_task(client.post("/predict", json=body))
        while not with_store.features.reads:  # noqa: ASYNC110 - it says nothing by itself
            await asyncio.sleep(0)
        step = with_store.step(1, with_store.version(2, requested + stored))
        await asyncio.to_thread(with_store.announce, step)
        assert in_force(with_store).champion.version.version == "2"
        assert old() is not None
        return await request

    assert with_store.run(talk).json()["version"] == "1"
    assert old() is None


def test_swaps_under_load_fail_no_request_and_each_answer_was_in_force(lab: Lab) -> None:
    """Twenty steps while hundreds of requests run, and the follower has its own thread."""
    versions = [lab.version(i, bias=i / 100) for i in range(7)]

    def step(sequence: int) -> RolloutStep:
        old, new = versions[sequence // 4], versions[sequence // 4 + 1]
        weight = (0.1, 0.5, 1.0)[sequence % 4] if sequence % 4 < 3 else 0.0
        if sequence % 4 == 3:
            return lab.step(sequence, new, salt=f"salt-{sequence}")
        return lab.step(sequence, old, new, weight=weight, salt=f"salt-{sequence}")

    steps = {i: step(i) for i in range(21)}
    lab.announce(steps[0])
    stop = threading.Event()
    thread = threading.Thread(target=lab.follower.run, args=(stop,))
    thread.start()

    async def talk(client: httpx.AsyncClient) -> list[tuple[int, int, httpx.Response]]:
        answers: list[tuple[int, int, httpx.Response]] = []
        done = asyncio.Event()

        async def ask(worker: int) -> None:
            i = 0
            while not done.is_set():
                i += 1
                request = {
                    "model": "flight_delay",
                    "entity_id": f"{worker}-{i}",
                    "prediction_id": f"{worker}-{i}",
                    "features": {"carrier": "AA", "origin": "EWR"},
                }
                before = in_force(lab).sequence
                answer = await client.post("/predict", json=request)
                answers.append((before, in_force(lab).sequence, answer))

        async def publish() -> None:
            try:
                for sequence in range(1, 21):
                    lab.bus.publish(steps[sequence])
                    deadline = time.monotonic() + 10
                    while sum(before == sequence for before, _, _ in answers) < 20:
                        assert time.monotonic() < deadline, "the step never came into force"
                        await asyncio.sleep(0.001)
            finally:
                done.set()

        await asyncio.gather(publish(), *(ask(worker) for worker in range(16)))
        return answers

    try:
        answers = lab.run(talk)
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    assert len(answers) >= 400
    assert {answer.status_code for _, _, answer in answers} == {200}
    logged = {event.prediction_id: event for event in lab.logged()}
    for before, after, answer in answers:
        given = answer.json()
        event = logged[given["prediction_id"]]
        sequence = int(event.rollout_id.removeprefix("rollout-"))
        assert before <= sequence <= after, "the step of the answer was not in force"
        rollout = steps[sequence]
        arm = rollout.champion if given["arm"] == "champion" else rollout.challenger
        assert arm is not None
        assert given["version"] == arm.version == event.version
    assert sorted(event.sequence for event in logged.values()) == list(range(len(answers)))
    assert {before for before, _, _ in answers} == set(range(21))


@pytest.mark.skipif(sys.platform != "linux", reason="the priority of a thread is its own on Linux")
def test_what_opens_models_stands_back_behind_the_requests(lab: Lab) -> None:
    stop = threading.Event()
    found: list[int] = []

    def view() -> TopicView:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        stop.set()
        raise UnavailableError("no broker")

    before = outages_counted()
    follower = RolloutFollower(view, lab.follower._loader)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    thread.join(30)
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert found == [min(19, here + 10)]
    assert outages_counted() == before + 1
