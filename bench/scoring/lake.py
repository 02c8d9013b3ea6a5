"""The tables that are scored, the features that are looked up, and the versions that serve."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from bench.serving.model import ENTITIES, NUMBERS, STORED, stored, write_model
from bench.serving.ours import announce_all, write_registry
from deltalake import write_deltalake

from local.broker import embedded_broker

BEGAN = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
DAYS = 30
"""Of rows, and of features: each entity has new ones each day."""
CHUNK_ROWS = 250_000
"""Of a table, made and written at a time."""
NO_STORE = "redis://127.0.0.1:1"
"""Nobody asks the online store."""


def make_lake(stack: ExitStack, folder: Path, sizes: tuple[int, ...]) -> dict[str, str]:
    """Everything in a folder, and a broker that runs until the stack ends.

    Returns:
        What `tailrace score` has to have in its environment.
    """
    write_model(folder)
    lake = folder / "lake"
    _write_features(folder, lake)
    for rows in sizes:
        write_deltalake(
            str(table(folder, rows)), pa.RecordBatchReader.from_batches(_SCHEMA, _rows(rows))
        )
    bootstrap = stack.enter_context(embedded_broker(folder / "broker"))
    announce_all(bootstrap, folder / "model.onnx")
    return {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "LAKE_URI": str(lake),
        "FEAST_REPO": str(folder),
        "REDIS_URL": NO_STORE,
        "MODEL_CACHE": str(folder / "cache"),
        "MLFLOW_TRACKING_URI": str(folder),
        "LOG_LEVEL": "WARNING",
    }


def table(folder: Path, rows: int) -> Path:
    """Where the table of so many rows lies."""
    return folder / "lake" / f"rows_{rows}"


_TIME = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [("event_id", pa.string()), ("event_time", _TIME), *((n, pa.float64()) for n in NUMBERS)]
)


def _rows(count: int) -> Iterator[pa.RecordBatch]:
    """Rows whose stored numbers are what the lake has of their entity, so that all ways agree."""
    rng, known = np.random.default_rng(23), stored()
    for begin in range(0, count, CHUNK_ROWS):
        size = min(CHUNK_ROWS, count - begin)
        numbers = np.round(rng.normal(size=(size, len(NUMBERS))), 4)
        numbers[:, 0] = rng.integers(0, ENTITIES, size)
        numbers[:, -len(STORED) :] = known[numbers[:, 0].astype(int)]
        at = BEGAN + np.sort(rng.integers(1, DAYS * 86_400, size))
        columns = [
            pa.array([f"e{i}" for i in range(begin, begin + size)]),
            pa.array(at * 1_000_000, pa.int64()).cast(_TIME),
            *(pa.array(column) for column in numbers.T),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)


def _write_features(folder: Path, lake: Path) -> None:
    days = np.repeat(np.arange(DAYS), ENTITIES)
    frame = pd.DataFrame(
        {
            "n0": np.tile(np.arange(ENTITIES), DAYS),
            "event_time": pd.to_datetime(BEGAN + days * 86_400, unit="s", utc=True),
        }
        | dict(zip(STORED, np.tile(stored().T, DAYS), strict=True))
    )
    write_deltalake(str(lake / "numbers"), pa.Table.from_pandas(frame, preserve_index=False))
    # The predictor finds the table by the name of the file that Feast wants to look at.
    write_registry(folder, folder / "numbers", frame, NO_STORE)
