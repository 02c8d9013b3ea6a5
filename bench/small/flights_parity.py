"""ONNX against scikit-learn on every flight that the model of `flight_delay` did not learn from.

Two models, trained on January and on all months but the last, are exported as the trainer does, and
loaded as the predictor does; the rest of the year goes through both. Exits with 1 where an answer
differs by more than 1e-5.

Run: .venv/bin/python -m bench.small.flights_parity (needs tailrace[demo]; a minute)
"""

import importlib.util
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictor.adapters.models.onnx_model import OnnxModel
from predictor.serving.routes.loaded import inputs
from tailrace.flights.dataset import Flights, load
from trainer.adapters.model_folder import load_model
from trainer.adapters.onnx_artifact import export
from trainer.ports import ModelDefinition

FOLDER = Path(__file__).parents[2] / "models" / "flight_delay"
BAR = 1e-5
ROWS = 256
"""As many as the predictor runs at once."""
MODELS = {
    "January": datetime(2013, 2, 1, tzinfo=UTC),
    "to November": datetime(2013, 12, 1, tzinfo=UTC),
}
"""What a model is called, and when its training ends."""


def main() -> int:
    definition = load_model(FOLDER)
    pipelines = _module(FOLDER / "pipeline.py")
    flights = load()
    frame, labels = _rows(flights, definition)
    departures = flights.landed["scheduled_departure"]
    worst = 0.0
    for name, end in MODELS.items():
        known = (departures < end).to_numpy()
        pipeline = pipelines.build_pipeline(definition.training.seed)
        pipeline.fit(frame[known], labels[known])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(export(pipeline, definition.features, classifies=True))
            model = OnnxModel(path, inputs(definition.features))
        test = frame[~known]
        begun = time.perf_counter()
        found = _served(model, test)
        took = time.perf_counter() - begun
        difference = np.abs(found - pipeline.predict_proba(test)[:, 1])
        worst = max(worst, float(difference.max()))
        print(
            f"{name:>12}: {known.sum():,} flights to learn from, {len(test):,} to test:"
            f" largest difference {difference.max():.2g}, over {BAR:g} in"
            f" {int((difference > BAR).sum())}; {took / len(test) * 1e6:.1f} µs a row",
            flush=True,
        )
    print(
        f"largest difference {worst:.2g}, wanted <= {BAR:g}: {'met' if worst <= BAR else 'NOT MET'}"
    )
    return 0 if worst <= BAR else 1


def _rows(flights: Flights, definition: ModelDefinition) -> tuple[pd.DataFrame, np.ndarray]:
    """Each flight with the weather that was known at its scheduled departure."""
    landed = flights.landed
    order = landed.sort_values("scheduled_departure", kind="stable")
    ages = [f.max_age_seconds for f in definition.features if f.max_age_seconds is not None]
    joined = pd.merge_asof(
        order,
        flights.weather,
        left_on="scheduled_departure",
        right_on="observed_at",
        by="origin",
        tolerance=pd.Timedelta(timedelta(seconds=min(ages))),
    ).set_index(order.index)
    columns: dict[str, Any] = {}
    for feature in definition.features:
        column = joined[feature.name].reindex(landed.index)
        if feature.kind == "category":
            columns[feature.name] = column.fillna("").astype(object)
        else:
            default = np.nan if feature.default is None else float(feature.default)
            columns[feature.name] = column.astype("float32").fillna(default)
    return pd.DataFrame(columns), landed["delayed"].to_numpy(dtype=np.int64)


def _served(model: OnnxModel, frame: pd.DataFrame) -> np.ndarray:
    """The scores by way of the predictor: Python's values, a batch at a time."""
    rows = [
        [None if value != value else value for value in row]
        for row in frame.astype(object).itertuples(index=False, name=None)
    ]
    scores: list[float] = []
    for start in range(0, len(rows), ROWS):
        scores += model.answers(rows[start : start + ROWS])
    return np.array(scores)


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("flight_delay_pipeline", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
