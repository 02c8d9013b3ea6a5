"""What a replay keeps of what it reads."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_schemas import (
    ArmMeasured,
    DataArrived,
    EventBody,
    PredictionLogged,
    RetrainDecided,
    TrainingFailed,
)
from event_schemas.arm import RealisedLoss
from event_schemas.base import TimeRange
from servicekit.memory import MemoryBus
from tailrace.cases.story import Story

EXAMPLES = Path(__file__).parents[4] / "schemas/examples"
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = TimeRange(start=START, end=START + timedelta(days=1))

Tell = Callable[..., None]


@pytest.fixture
def story() -> Story:
    return Story("run")


@pytest.fixture
def tell(story: Story) -> Tell:
    """Has the story take an event, made of the example of its type."""

    def take(kind: type[EventBody], *, times: int = 1, **changes: Any) -> None:
        example = json.loads((EXAMPLES / f"{kind.type}.v1.json").read_text())
        body = kind.model_validate(example).model_copy(update=changes)
        bus = MemoryBus()
        bus.publish(body)
        (message,) = bus.messages(kind.topic())
        for _ in range(times):
            story.take(message)

    return take


def test_predictions_of_others_and_failed_ones_are_none_of_its_own(
    story: Story, tell: Tell
) -> None:
    for name, error in (("run.m.1", None), ("run.m.2", "late: it was"), ("other.m.3", None)):
        tell(PredictionLogged, model="m", prediction_id=name, error=error)
    assert story.answered == {"m": {"run.m.1"}}


def test_a_model_is_in_training_from_the_decision_to_the_verdict(story: Story, tell: Tell) -> None:
    tell(RetrainDecided, model="m", decision="refused")
    assert not story.in_training("m")
    tell(RetrainDecided, model="m", decision="accepted")
    tell(TrainingFailed, model="other")
    assert story.in_training("m")
    tell(TrainingFailed, model="m")
    assert not story.in_training("m")


def test_the_newest_revision_of_a_slice_counts(story: Story, tell: Tell) -> None:
    for revision, n in ((2, 7), (1, 5)):
        tell(ArmMeasured, model="m", window=DAY, revision=revision, loss=RealisedLoss(n=n))
    assert story.labels_joined("m") == 7
    assert story.measured_until("m") == DAY.end


def test_an_event_that_comes_twice_counts_once(story: Story, tell: Tell) -> None:
    tell(DataArrived, times=2, dataset="rides", rows=5)
    assert story.rows == {"rides": 5}
