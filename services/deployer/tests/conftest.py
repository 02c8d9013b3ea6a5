"""Builders that the deployer's tests share."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from event_schemas import ArmMeasured, ModelApproved
from event_schemas.arm import RealisedLoss, ScoreSketch
from event_schemas.base import TimeRange
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Policies, RolloutPolicy
from event_schemas.prediction import Arm

START = datetime(2013, 4, 1, tzinfo=UTC)

Approve = Callable[[str], ModelApproved]
Measure = Callable[..., ArmMeasured]


@pytest.fixture(scope="session")
def approve() -> Approve:
    """Makes the approval of a version of the flights model."""

    def build(version: str) -> ModelApproved:
        return ModelApproved(
            model="flight_delay",
            version=ModelVersion(
                model="flight_delay",
                version=version,
                run_id=f"run-{version}",
                artifact=Artifact(
                    uri=f"mlflow-artifacts:/1/{version}/model.onnx",
                    sha256="0" * 64,
                    format="onnx",
                ),
                features=(),
                trained_at=START,
                policies=Policies(rollout=RolloutPolicy(min_labelled=200, probation_labelled=1000)),
            ),
            approved_by="policy",
        )

    return build


@pytest.fixture(scope="session")
def measure() -> Measure:
    """Makes the measurement of one arm over one day; losses are `loss` ± 0.5."""

    def build(
        arm: Arm,
        *,
        rollout_id: str,
        weight: float,
        day: int = 0,
        n: int = 5000,
        loss: float = 0.45,
        errors: int = 0,
        revision: int = 0,
    ) -> ArmMeasured:
        start = START + timedelta(days=day)
        return ArmMeasured(
            model="flight_delay",
            version="?",
            arm=arm,
            rollout_id=rollout_id,
            weight=weight,
            window=TimeRange(start=start, end=start + timedelta(days=1)),
            revision=revision,
            n=n,
            errors=errors,
            scores=ScoreSketch(counts=(n,)),
            loss=RealisedLoss(n=n, total=n * loss, total_squared=n * (loss**2 + 0.25)),
        )

    return build
