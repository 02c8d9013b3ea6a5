"""The predictor in memory, and what tests ask it."""

from functools import partial
from pathlib import Path

import pytest
from services.predictor.tests.lab import (
    NOW,
    REQUESTED,
    STORED,
    Features,
    FolderArtifacts,
    Json,
    Lab,
    TableFeatures,
)
from services.predictor.tests.tiny_onnx import WriteOnnx, write_onnx

from predictor.settings import PredictorSettings
from servicekit.clock import FakeClock
from servicekit.memory import MemoryBus


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A started service with no model."""
    bus = MemoryBus(FakeClock(NOW))
    settings = PredictorSettings(load_patience_seconds=60)  # a step is in force when it was taken
    return Lab(tmp_path, bus, settings, FolderArtifacts(), TableFeatures()).start()


@pytest.fixture
def serving(lab: Lab) -> Lab:
    """A service with one champion, version 1."""
    return lab.announce(lab.step(0, lab.version(1)))


@pytest.fixture
def with_store(lab: Lab) -> Lab:
    """A service whose champion takes one stored feature, the weather at the origin."""
    return lab.announce(lab.step(0, lab.version(1, REQUESTED + STORED)))


@pytest.fixture
def requested() -> Features:
    """The request features of the tiny model: carrier, origin, hour (not required)."""
    return REQUESTED


@pytest.fixture
def stored() -> Features:
    """The stored feature of the tiny model: temp, by origin, at most two hours old."""
    return STORED


@pytest.fixture
def onnx_file(tmp_path: Path) -> WriteOnnx:
    return partial(write_onnx, tmp_path / "model.onnx")


@pytest.fixture
def body() -> Json:
    """A good request."""
    return {
        "model": "flight_delay",
        "entity_id": "UA1",
        "features": {"carrier": "UA", "origin": "EWR", "hour": 0.5},
        "event_time": "2013-07-01T10:00:00Z",
    }
