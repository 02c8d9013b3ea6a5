"""The service as it is deployed: Kafka, Feast over Valkey, and MLflow's way to fetch a file."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import httpx
import pytest
from services.predictor.tests.lab import Features, Json, Lab

from event_schemas import PredictionLogged, ScoreRequested
from local.broker import broker
from predictor.adapters.features.feast_features import FeastOnlineFeatures
from predictor.adapters.features.feast_registry import FeastRegistry
from predictor.adapters.features.redis_features import RedisFeatures
from predictor.adapters.models.idle_priority import IdlePriority
from predictor.adapters.models.mlflow_artifacts import MlflowArtifacts
from predictor.app import build
from predictor.batch.lake_features import LakeFeatures
from predictor.domain.batching import Lookup
from predictor.domain.errors import LoadError
from predictor.ports import OnlineFeatures
from predictor.settings import PredictorSettings
from servicekit.bus import TopicView
from servicekit.cloudevents import decode, encode
from servicekit.errors import UnavailableError
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from stores.feast import redis_online_store, repo_config

pytestmark = [
    pytest.mark.integration,
    # Feast, MLflow and what they import warn about themselves.
    pytest.mark.filterwarnings("ignore"),
]

AT = datetime(2013, 7, 1, 10, tzinfo=UTC)


@pytest.fixture
def feast_repo(tmp_path: Path, redis_url: str) -> Path:
    """A registry with the weather by origin; only EWR has a row, of 10 o'clock."""
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64

    origin = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING)
    rows = pd.DataFrame(
        {"origin": ["EWR"], "event_time": [AT], "temperature": [-1.5], "wind": [None]}
    ).astype({"wind": "float64"})
    path = tmp_path / "weather.parquet"
    rows.to_parquet(path)
    weather = FeatureView(
        name="weather",
        entities=[origin],
        schema=[Field(name="temperature", dtype=Float64), Field(name="wind", dtype=Float64)],
        source=FileSource(path=str(path), timestamp_field="event_time"),
    )
    store = FeatureStore(config=repo_config(str(tmp_path), redis_online_store(redis_url)))
    store.apply([origin, weather])
    store.write_to_online_store("weather", rows)
    return tmp_path


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[KafkaBus]:
    """A broker of its own: rollout.step belongs to this test."""
    with broker(tmp_path / "broker") as bootstrap:
        yield KafkaBus(bootstrap)


def everything(view: TopicView, count: int) -> list[PredictionLogged]:
    found: list[PredictionLogged] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += [decode(message).body for message in view.poll(0.2)]
    view.close()
    return found


def over_kafka(body: Json, name: str) -> ScoreRequested:
    return ScoreRequested(
        prediction_id=name,
        model=body["model"],
        entity=body["entity_id"],
        features=body["features"],
        event_time=AT + timedelta(hours=2),
    )


Reader = Callable[[Path, str], OnlineFeatures]


def registry(repo: Path, redis_url: str) -> FeastRegistry:
    return FeastRegistry(str(repo), redis_online_store(redis_url))


def through_feast(repo: Path, redis_url: str) -> OnlineFeatures:
    return FeastOnlineFeatures(registry(repo, redis_url))


def directly(repo: Path, redis_url: str) -> OnlineFeatures:
    return RedisFeatures(registry(repo, redis_url), redis_url)


READERS = pytest.mark.parametrize("reader", [through_feast, directly])


def test_a_step_in_kafka_is_served_with_features_from_feast_and_logged_in_kafka(
    lab: Lab,
    bus: KafkaBus,
    feast_repo: Path,
    redis_url: str,
    body: Json,
    requested: Features,
    stored: Features,
) -> None:
    settings = PredictorSettings(
        feast_repo=str(feast_repo),
        redis_url=redis_url,
        model_cache=feast_repo / "cache",
        mlflow_tracking_uri=str(lab.folder),
        # A busy machine is no outage.
        feature_timeout_seconds=20,
        log_deadline_seconds=20,
        score_requested=True,
    )
    components, app = build(settings, bus)
    step = lab.step(0, lab.version(1, requested + stored))
    sender = bus.sender()
    for sent in (step, *(over_kafka(body, f"k{i}") for i in range(30))):
        sender.send(encode(Event(body=sent, source="/test", time=AT))).result(20)
    sender.close(5)
    stop = threading.Event()
    threads = [threading.Thread(target=each.run, args=(stop,)) for each in components]
    for thread in threads:
        thread.start()
    logged: list[PredictionLogged] = []

    async def talk() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            requests = [
                {
                    **body,
                    "prediction_id": f"p{i}",
                    "event_time": (AT + timedelta(hours=age)).isoformat(),
                    "features": {**body["features"], "origin": origin},
                }
                for i, (origin, age) in enumerate([("EWR", 2), ("EWR", 2.01), ("JFK", 0)] * 20)
            ]
            answers = await asyncio.gather(*(client.post("/predict", json=r) for r in requests))
            view = bus.view("prediction.logged")
            logged.extend(await asyncio.to_thread(everything, view, 90))
            return answers

    try:
        wait_until(lambda: all(each.ready for each in components))
        answers = asyncio.run(talk())
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    assert sorted(each.sequence for each in logged) == list(range(90))
    asked = [each for each in logged if each.prediction_id.startswith("k")]
    assert {each.prediction_id for each in asked} == {f"k{i}" for i in range(30)}
    assert {(each.score, each.error) for each in asked} == {(answers[0].json()["score"], None)}
    logged = [each for each in logged if each not in asked]
    seen = {int(each.prediction_id[1:]) % 3: each.features["temp"] for each in logged}
    assert seen == {0: -1.5, 1: None, 2: None}, "fresh, stale, absent"
    assert {each.prediction_id: each.score for each in logged} == {
        answer.json()["prediction_id"]: answer.json()["score"] for answer in answers
    }


@READERS
def test_the_features_must_be_in_the_registry(
    reader: Reader, feast_repo: Path, redis_url: str
) -> None:
    features = reader(feast_repo, redis_url)
    with pytest.raises(UnavailableError, match="feature view trains is not in the registry yet"):
        features.prepare({"origin": [("trains", "delay")]})
    with pytest.raises(LoadError, match="weather has no snow; it has temperature, wind") as caught:
        features.prepare({"origin": [("weather", "snow")]})
    assert caught.value.reason == "features"
    features.prepare({"origin": [("weather", "wind")]})


@READERS
def test_a_registry_that_is_not_written_yet_is_waited_for(reader: Reader, tmp_path: Path) -> None:
    features = reader(tmp_path, "redis://127.0.0.1:1/0")
    with pytest.raises(UnavailableError, match=r"registry\.db is not there yet"):
        features.prepare({"origin": [("weather", "wind")]})
    features.prepare({})


@READERS
def test_a_store_that_refuses_connections_is_away(reader: Reader, feast_repo: Path) -> None:
    features = reader(feast_repo, "redis://127.0.0.1:1/0")
    features.prepare({"origin": [("weather", "wind")]})
    lookup = Lookup()
    lookup.refs[("weather", "wind")] = None
    lookup.values["EWR"] = None

    async def read() -> None:
        try:
            async with asyncio.timeout(30):
                await features.read({"origin": lookup})
        finally:
            await features.close()

    with pytest.raises(UnavailableError):
        asyncio.run(read())


T = TypeVar("T")


class Noting(IdlePriority):
    """Tells what was done aside."""

    def __init__(self) -> None:
        super().__init__(60.0)
        self.done: list[str] = []

    def run(self, work: Callable[[], T], doing: str) -> T:
        self.done.append(doing)
        return super().run(work, doing)


def test_files_are_checked_aside(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    digest, aside = hashlib.sha256(b"weights").hexdigest(), Noting()
    artifacts = MlflowArtifacts(str(tmp_path), tmp_path / "cache", aside)
    kept = artifacts.fetch(str(tmp_path / "model.onnx"), digest)
    assert artifacts.fetch(str(tmp_path / "model.onnx"), digest) == kept
    (downloaded, again) = aside.done
    assert downloaded.startswith("checking ")
    assert again == f"checking {kept}"


@pytest.mark.parametrize("aside", [None, IdlePriority(60.0)], ids=["", "aside"])
def test_a_file_with_another_sha256_is_not_kept(tmp_path: Path, aside: IdlePriority | None) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    artifacts = MlflowArtifacts(str(tmp_path), tmp_path / "cache", aside)
    with pytest.raises(LoadError, match=f"has SHA-256 {digest}, and 0000") as caught:
        artifacts.fetch(str(file), "0" * 64)
    assert caught.value.reason == "sha256"
    kept = artifacts.fetch(str(file), digest)
    assert kept.read_bytes() == b"weights"
    assert file.exists(), "what was fetched stays where it lay"
    file.unlink()
    assert artifacts.fetch(str(file), digest) == kept, "a kept file needs no download"
    kept.write_bytes(b"tampered")
    with pytest.raises(LoadError) as caught:
        artifacts.fetch(str(file), digest)
    assert caught.value.reason == "missing"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [kept.name]


def test_a_server_that_is_away_is_an_outage_and_not_a_bad_file(tmp_path: Path) -> None:
    artifacts = MlflowArtifacts("http://127.0.0.1:1", tmp_path / "cache")
    artifacts.warm_up()  # as every caller does: it keeps MLflow from asking for minutes
    with pytest.raises(UnavailableError, match="cannot be downloaded now"):
        artifacts.fetch("mlflow-artifacts:/0/run/artifacts/model.onnx", "0" * 64)
    with pytest.raises(UnavailableError, match="cannot be downloaded now"):
        artifacts.fetch("runs:/0123456789abcdef/model.onnx", "0" * 64)


def test_the_lake_gives_features_of_a_moment_by_the_same_registry(
    feast_repo: Path, redis_url: str, tmp_path: Path
) -> None:
    import pyarrow as pa
    from deltalake import write_deltalake

    rows = [
        {"event_id": f"w{hour}", "event_time": AT + timedelta(hours=hour), "origin": "EWR"}
        | {"temperature": float(hour)}
        for hour in range(3)
    ]
    write_deltalake(str(tmp_path / "lake" / "weather.parquet"), pa.Table.from_pylist(rows))
    features = LakeFeatures(registry(feast_repo, redis_url), str(tmp_path / "lake"))
    features.warm_up()
    features.prepare({"origin": [("weather", "temperature")]})
    features.read((AT + timedelta(hours=1.5)).timestamp())
    for hours, known in ((0, 0.0), (0.9, 0.0), (1, 1.0), (1.5, 1.0)):
        found = features.as_of("origin", "EWR", (AT + timedelta(hours=hours)).timestamp())
        assert found["weather", "temperature"][0] == known
    features.prepare({"origin": [("weather", "wind")]})
    with pytest.raises(LoadError, match="no column wind"):
        features.read(AT.timestamp())
