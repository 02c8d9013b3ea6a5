"""The predictor with what it needs around it."""

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench.serving.model import ENTITIES, NUMBERS, STORED, stored
from bench.serving.servers import Server

from event_schemas import RolloutStep
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Feature, Policies, ServingPolicy
from local.broker import broker, kind
from local.valkey import embedded_valkey
from servicekit.bus import Record
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus


@dataclass(frozen=True)
class Served:
    """One of our models: the same file, with another way to its features and to the log."""

    from_store: bool
    """Six features from the store, and a canary; otherwise all from the request, and none."""
    sampling_rate: float


RARELY = 1e-9
"""A sampling rate that logs nothing in any run; 0 is none."""
MODELS = {
    "full": Served(from_store=True, sampling_rate=1.0),
    "full-unlogged": Served(from_store=True, sampling_rate=RARELY),
    "bare": Served(from_store=False, sampling_rate=RARELY),
    "bare-logged": Served(from_store=False, sampling_rate=1.0),
}


def ours(stack: ExitStack, folder: Path, models: Iterable[str] = tuple(MODELS)) -> list[Server]:
    """The predictor in its ways to answer; broker and feature store run until the stack ends.

    Each of them has all the models in memory.
    """
    bootstrap = stack.enter_context(broker(folder / "broker"))
    redis_url = stack.enter_context(embedded_valkey(folder))
    _write_features(folder, redis_url)
    announce_all(bootstrap, folder / "model.onnx", models)
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "KAFKA_BROKER_KIND": kind(),
        "REDIS_URL": redis_url,
        "FEAST_REPO": str(folder),
        "MODEL_CACHE": str(folder / "cache"),
        "MLFLOW_TRACKING_URI": str(folder),
        "LOG_LEVEL": "WARNING",
    }

    def predictor(key: str, name: str, settings: str, bodies: str, **more: str) -> Server:
        return Server(
            key=key,
            name=name,
            role="ours",
            settings=settings,
            command=("-m", "predictor"),
            bodies=bodies,
            path="/predict",
            ready="/readyz",
            env={**env, "SPOOL_DIR": str(folder / "spool" / key), **more},
        )

    return [
        predictor(
            "full",
            "Tailrace, full path",
            "six of twelve features from Valkey, a canary of 10 %, each answer logged in Kafka"
            " through the spool, as compose, the chart and `make up` set it",
            "full",
        ),
        predictor(
            "full-brokers",
            "Tailrace, full path, waits for Kafka",
            "as the full path, ANSWER_AFTER=brokers",
            "full",
            ANSWER_AFTER="brokers",
        ),
        predictor(
            "full-unlogged",
            "Tailrace, full path, not logged",
            "as the full path, serving.sampling_rate of 1e-9",
            "full-unlogged",
        ),
        predictor(
            "bare",
            "Tailrace, bare",
            "all features in the request, no canary, not logged (serving.sampling_rate of 1e-9)",
            "bare",
        ),
        predictor(
            "bare-logged",
            "Tailrace, bare, logged",
            "as bare, each answer logged in Kafka through the spool",
            "bare-logged",
        ),
    ]


def _write_features(folder: Path, redis_url: str) -> None:
    """A Feast registry, and a row of six numbers for each entity."""
    rows = pd.DataFrame(
        {"n0": np.arange(ENTITIES), "event_time": datetime(2026, 1, 1, tzinfo=UTC)}
        | dict(zip(STORED, stored().T, strict=True))
    )
    store = write_registry(folder, folder / "rows.parquet", rows, redis_url)
    store.write_to_online_store("numbers", rows)


def write_registry(folder: Path, file: Path, rows: pd.DataFrame, redis_url: str) -> Any:
    """A Feast registry whose view `numbers` is made of a file, which gets the first row.

    Returns:
        The `feast.FeatureStore`.
    """
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64, Int64

    from stores.feast import redis_online_store, repo_config

    source = FileSource(path=str(file), timestamp_field="event_time")
    rows.head(1).to_parquet(file)
    entity = Entity(name="n0", join_keys=["n0"], value_type=ValueType.INT64)
    fields = [Field(name="n0", dtype=Int64), *(Field(name=n, dtype=Float64) for n in STORED)]
    view = FeatureView(name="numbers", entities=[entity], schema=fields, source=source)
    store = FeatureStore(config=repo_config(folder, redis_online_store(redis_url)))
    store.apply([entity, view])
    return store


def announce_all(bootstrap: str, file: Path, models: Iterable[str] = tuple(MODELS)) -> None:
    """A step for each of some models."""
    sender = KafkaBus(bootstrap).sender()
    for name in models:
        sender.send(announce(name, MODELS[name], file)).result(20)
    sender.close(5)


def announce(
    name: str, model: Served, file: Path, *, version: int = 0, sequence: int = 0
) -> Record:
    """The rollout step that names a version of a model; the canary has the next number."""
    step = RolloutStep(
        model=name,
        rollout_id="bench",
        sequence=sequence,
        phase="canary" if model.from_store else "stable",
        champion=_version(name, version, file, model),
        challenger=_version(name, version + 1, file, model) if model.from_store else None,
        weight=0.1 if model.from_store else 0.0,
        salt="bench",
        reason="bench",
        outcome="running",
    )
    return encode(Event(body=step, source="/bench", time=datetime.now(UTC)))


def _version(name: str, number: int, file: Path, model: Served) -> ModelVersion:
    features = tuple(
        Feature(name=n, kind="number", source="store", view="numbers", join_key="n0")
        if model.from_store and n in STORED
        else Feature(name=n, kind="number", source="request")
        for n in NUMBERS
    )
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ModelVersion(
        model=name,
        version=str(number),
        run_id="bench",
        artifact=Artifact(uri=str(file), sha256=digest, format="onnx"),
        features=features,
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        policies=Policies(serving=ServingPolicy(sampling_rate=model.sampling_rate)),
    )
