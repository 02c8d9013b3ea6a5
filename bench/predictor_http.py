"""The predictor over HTTP beside two floors: an ASGI echo, and ONNX Runtime without HTTP.

The server has one core, wrk and the stores have the other. Each server is measured in turn, round
after round, and the medians are compared.

Run: .venv/bin/python bench/predictor_http.py [--rounds 3] [--seconds 4]   (needs wrk)
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from event_schemas import RolloutStep
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Feature
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.testing.broker import embedded_broker
from servicekit.testing.process import free_port, running
from servicekit.testing.valkey import embedded_valkey

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (1, 32, 128)
NUMBERS = [f"n{i}" for i in range(12)]
STORED = NUMBERS[6:]
ENTITIES = 5000
BODIES = 1000
ECHO = """
import sys, uvicorn

async def echo(scope, receive, send):
    body = (await receive())["body"] or b"{}"
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers":
        [(b"content-type", b"application/json"), (b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})

uvicorn.run(echo, port=int(sys.argv[1]), loop="uvloop", http="httptools", lifespan="off",
    log_config=None, access_log=False)
"""
SCRIPT = """
local i = 0
function request()
  i = i % #bodies + 1
  return wrk.format("POST", "/predict", {["content-type"] = "application/json"}, bodies[i])
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"rps": %.1f, "p50": %.4f, "p99": %.4f, "errors": %d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def write_model(path: Path) -> None:
    """Gradient boosting with 100 trees over 12 numbers, as ONNX."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline

    rng = np.random.default_rng(7)
    x = rng.normal(size=(20_000, 12)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(size=len(x)) > 0
    trees = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=7)
    numbers = ColumnTransformer([("numbers", "passthrough", NUMBERS)])
    fitted = Pipeline([("numbers", numbers), ("trees", trees)]).fit(
        pd.DataFrame(x, columns=NUMBERS), y.astype(int)
    )
    model = to_onnx(
        fitted,
        initial_types=[(name, FloatTensorType([None, 1])) for name in NUMBERS],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    path.write_bytes(model.SerializeToString())


def write_features(folder: Path, redis_url: str) -> None:
    """A Feast registry, and a row of six numbers for each entity."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
    from feast.types import Float64, Int64

    from predictor.adapters.feast_config import redis_online_store, repo_config

    rng = np.random.default_rng(7)
    rows = pd.DataFrame(
        {"n0": np.arange(ENTITIES), "event_time": datetime(2026, 1, 1, tzinfo=UTC)}
        | {name: rng.normal(size=ENTITIES) for name in STORED}
    )
    source = FileSource(path=str(folder / "rows.parquet"), timestamp_field="event_time")
    rows.head(1).to_parquet(source.path)
    entity = Entity(name="n0", join_keys=["n0"], value_type=ValueType.INT64)
    fields = [Field(name="n0", dtype=Int64), *(Field(name=n, dtype=Float64) for n in STORED)]
    view = FeatureView(name="numbers", entities=[entity], schema=fields, source=source)
    store = FeatureStore(config=repo_config(folder, redis_online_store(redis_url)))
    store.apply([entity, view])
    store.write_to_online_store("numbers", rows)


def announce(bootstrap: str, model: Path, names: dict[str, bool]) -> None:
    """A step for each model: all numbers from the request, or six from the store and a canary."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    sender = KafkaBus(bootstrap).sender()
    for name, stored in names.items():

        def version(number: str, name: str = name, stored: bool = stored) -> ModelVersion:
            features = tuple(
                Feature(name=n, kind="number", source="store", view="numbers", join_key="n0")
                if stored and n in STORED
                else Feature(name=n, kind="number", source="request")
                for n in NUMBERS
            )
            return ModelVersion(
                model=name,
                version=number,
                run_id="bench",
                artifact=Artifact(uri=str(model), sha256=digest, format="onnx"),
                features=features,
                trained_at=datetime(2026, 1, 1, tzinfo=UTC),
            )

        step = RolloutStep(
            model=name,
            rollout_id="bench",
            sequence=0,
            phase="canary" if stored else "stable",
            champion=version("1"),
            challenger=version("2") if stored else None,
            weight=0.1 if stored else 0.0,
            salt="bench",
            reason="bench",
            outcome="running",
        )
        event = Event(body=step, source="/bench", time=datetime.now(UTC))
        sender.send(encode(event)).result(20)
    sender.close(5)


def write_script(path: Path, model: str, sent: list[str]) -> Path:
    """wrk's script, which goes round some bodies."""
    rng = np.random.default_rng(11)
    bodies = []
    for i in range(BODIES):
        features = {name: round(float(rng.normal()), 4) for name in sent}
        features["n0"] = int(rng.integers(ENTITIES))
        bodies.append(json.dumps({"model": model, "entity_id": f"e{i}", "features": features}))
    listed = ",\n".join(f"[==[{body}]==]" for body in bodies)
    path.write_text(f"local bodies = {{\n{listed}\n}}\n{SCRIPT}")
    return path


def load(url: str, script: Path, connections: int, seconds: float) -> dict[str, float]:
    """What wrk measured."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds:g}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(said.split("RESULT ")[1])


def scores_per_second(model: Path, seconds: float) -> float:
    """Single rows through ONNX Runtime, with nothing around it."""
    import onnxruntime

    os.sched_setaffinity(0, {SERVER_CORE})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(model.read_bytes(), options)
    output = [session.get_outputs()[-1].name]
    feed = {name: np.zeros((1, 1), np.float32) for name in NUMBERS}
    begun, count = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        session.run(output, feed)
        count += 1
    os.sched_setaffinity(0, {LOAD_CORE})
    return count / seconds


@contextmanager
def serving(command: list[Any], env: dict[str, str], folder: Path, name: str) -> Iterator[str]:
    """A server on its core, warm; yields its address."""
    import httpx

    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    # Feast leaves this variable behind; with it every metric would be a file.
    words = ["env", "-u", "PROMETHEUS_MULTIPROC_DIR", *(f"{k}={v}" for k, v in env.items())]
    words += [f"HTTP_PORT={port}", "taskset", "-c", SERVER_CORE, *command, port]
    log = folder / f"{name}.log"
    with running(tuple(map(str, words)), log=log, ready=ready, deadline=60):
        yield url


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all servers in turn")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load a point")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    if (os.cpu_count() or 1) < 2:
        sys.exit("this takes two cores: one for the server, one for the load")
    os.sched_setaffinity(0, {LOAD_CORE})
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_model(folder / "model.onnx")
        bootstrap = stack.enter_context(embedded_broker(folder / "broker"))
        redis_url = stack.enter_context(embedded_valkey(folder))
        write_features(folder, redis_url)
        announce(bootstrap, folder / "model.onnx", {"bare": False, "full": True})
        scripts = {
            "bare": write_script(folder / "bare.lua", "bare", NUMBERS),
            "full": write_script(folder / "full.lua", "full", NUMBERS[:6]),
        }
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "KAFKA_IDLE_REST_SECONDS": "0.05",  # as the local stack has it
            "REDIS_URL": redis_url,
            "FEAST_REPO": str(folder),
            "MODEL_CACHE": str(folder / "cache"),
            "LOG_LEVEL": "WARNING",
        }
        predictor = [sys.executable, "-m", "predictor"]
        early = {**env, "ANSWER_BEFORE_LOG": "true"}
        servers = {
            "echo": ([sys.executable, "-c", ECHO], {}, "full"),
            "request features, answer first": (predictor, early, "bare"),
            "stored features, answer first": (predictor, early, "full"),
            "stored features, log first": (predictor, env, "full"),
        }
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        alone = []
        for turn in range(options.rounds):
            alone.append(scores_per_second(folder / "model.onnx", options.seconds / 2))
            for name, (command, variables, script) in servers.items():
                with serving(command, variables, folder, name) as url:
                    load(url, scripts[script], 32, 2)  # warm
                    for connections in CONNECTIONS:
                        result = load(url, scripts[script], connections, options.seconds)
                        found.setdefault((name, connections), []).append(result)
                        print(
                            f"round {turn + 1} {name:>32} c={connections:<4} {result}", flush=True
                        )
        report(found, statistics.median(alone), list(servers))


def report(
    found: dict[tuple[str, int], list[dict[str, float]]], alone: float, names: list[str]
) -> None:
    print(f"\nONNX Runtime alone, single rows: {alone:,.0f}/s; medians of the rounds:")
    print(f"{'server':>32} {'c':>4} {'requests/s':>11} {'of echo':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for connections in CONNECTIONS:
        for name in names:
            rounds = found[name, connections]
            rps, p50, p99 = (statistics.median(r[k] for r in rounds) for k in ("rps", "p50", "p99"))
            floor = statistics.median(r["rps"] for r in found["echo", connections])
            errors = int(sum(r["errors"] for r in rounds))
            print(
                f"{name:>32} {connections:>4} {rps:>11,.0f} {rps / floor:>8.2f} {p50:>8.2f}"
                f" {p99:>8.2f}" + (f"  {errors} errors" if errors else "")
            )


if __name__ == "__main__":
    main()
