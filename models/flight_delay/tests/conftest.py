"""Builders shared by the tests of the flight model; they read its folder as the services do."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from ingest.adapters.dataset_yaml import load_contracts
from ingest.domain.contract import Contract
from trainer.adapters.model_folder import load_model
from trainer.ports import ModelDefinition

MODEL = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"flight_delay_{name}", MODEL / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pipeline_module() -> ModuleType:
    return load("pipeline")


@pytest.fixture
def features_module(monkeypatch) -> ModuleType:
    monkeypatch.setenv("LAKE_URI", "s3://lake/")
    return load("features")


@pytest.fixture(scope="session")
def definition() -> ModelDefinition:
    return load_model(MODEL)


@pytest.fixture(scope="session")
def contracts() -> dict[str, Contract]:
    return load_contracts(MODEL.parent)[0]


@pytest.fixture(scope="session")
def flights() -> tuple[pd.DataFrame, np.ndarray]:
    """Invented flights, with readings missing here and there; wind and hour make them late."""
    rng = np.random.default_rng(11)
    n = 4000
    frame = pd.DataFrame(
        {
            "carrier": rng.choice(["UA", "B6", "EV", "DL", ""], n),
            "origin": rng.choice(["EWR", "JFK", "LGA"], n),
            "dest": rng.choice([f"D{i:02}" for i in range(60)], n),
            "hour": rng.integers(5, 24, n),
            "weekday": rng.integers(0, 7, n),
            "distance": rng.integers(80, 5000, n),
            "scheduled_minutes": rng.integers(50, 700, n),
            "temp": rng.normal(55, 18, n),
            "dewp": rng.normal(42, 19, n),
            "humid": rng.uniform(12, 100, n),
            "wind_speed": rng.gamma(4, 2.6, n),
            "precip": rng.exponential(0.01, n),
            "pressure": rng.normal(1017, 7, n),
            "visib": rng.uniform(0, 10, n),
        }
    )
    log_odds = 0.15 * (frame["hour"] - 15) + 0.12 * (frame["wind_speed"] - 12)
    labels = (rng.random(n) < 1 / (1 + np.exp(-log_odds))).to_numpy(dtype=np.int64)
    for name in frame.columns[3:]:
        frame[name] = frame[name].astype("float32")
    for name in ("temp", "wind_speed", "pressure"):
        frame.loc[rng.random(n) < 0.1, name] = np.nan
    return frame, labels
