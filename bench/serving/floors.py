"""What every server of ours is held against: HTTP alone, with its stores, and the model alone."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from bench.serving.load import LOAD_CORE, SERVER_CORE
from bench.serving.model import NUMBERS
from bench.serving.servers import Server

APP = Path(__file__).with_name("floor_app.py")


def floors(stores: Mapping[str, str] | None = None) -> list[Server]:
    """ASGI functions that send the body back, and what they do besides.

    Args:
        stores: the environment that tells where Kafka and Valkey are; where they are not, nothing
            can be started, only listed.
    """

    def floor(key: str, name: str, settings: str, *steps: str) -> Server:
        return Server(
            key=key,
            name=name,
            role="floor",
            settings=settings,
            command=(str(APP), "{port}", *steps),
            bodies="full",
            path="/",
            ready="/",
            env=dict(stores or {}),
        )

    return [
        floor(
            "echo",
            "ASGI echo",
            "uvicorn (uvloop, httptools) and a function that sends the body back",
        ),
        floor(
            "echo-logged",
            "ASGI echo, logged",
            "as the echo; the client of Kafka gets a ready-made record of the log for each request",
            "log",
        ),
        floor(
            "echo-stores",
            "ASGI echo, with stores",
            "as the echo that is logged, and each request waits for a row of Valkey",
            "read",
            "log",
        ),
    ]


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
