"""Reading the topics: what counts once, what counts newest, what belongs to another run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from event_schemas import ArmMeasured, DataArrived, EventBody, PredictionLogged
from event_schemas.arm import RealisedLoss, ScoreSketch
from event_schemas.base import TimeRange
from servicekit.bus import Message, Record
from servicekit.cloudevents import encode
from servicekit.event import Event
from tailrace.flights.journal import Journal

DAY = datetime(2013, 2, 1, tzinfo=UTC)


def message(body: EventBody, event_id: str = "e1") -> Message:
    record: Record = encode(Event(body, "/test", DAY, id=event_id))
    return Message(record.topic, 0, 0, record.key, record.value, record.headers)


def prediction(name: str, **changes: Any) -> PredictionLogged:
    values: dict[str, Any] = {
        "prediction_id": name,
        "model": "flight_delay",
        "version": "1",
        "arm": "champion",
        "weight": 0,
        "salt": "s",
        "rollout_id": "r",
        "entity": "e",
        "features": {"x": 1.5, "carrier": "UA", "temp": None},
        "score": 0.25,
        "event_time": DAY,
        "replica": "a",
        "sequence": 0,
    }
    return PredictionLogged.model_validate(values | changes)


def measured(n: int, revision: int = 0, arm: str = "champion") -> ArmMeasured:
    return ArmMeasured.model_validate(
        {
            "model": "flight_delay",
            "version": "1",
            "arm": arm,
            "rollout_id": "r",
            "weight": 0,
            "window": TimeRange(start=DAY, end=DAY + timedelta(days=1)),
            "revision": revision,
            "n": n,
            "scores": ScoreSketch(counts=(n,)),
            "loss": RealisedLoss(n=n),
        }
    )


@pytest.fixture
def journal() -> Journal:
    return Journal("run", "flight_delay")


def test_a_prediction_that_comes_twice_counts_once_and_is_noted(journal: Journal) -> None:
    for _ in range(2):
        journal.take(message(prediction("run.a")))
    assert (journal.predictions.read, journal.predictions.distinct) == (2, 1)


def test_the_predictions_of_another_run_are_not_ours(journal: Journal) -> None:
    journal.take(message(prediction("other.a")))
    journal.take(message(prediction("runaway.a")))
    assert journal.predictions.read == 0


def test_a_failed_prediction_has_no_score(journal: Journal) -> None:
    journal.take(message(prediction("run.a", score=None, error="the model broke")))
    assert journal.predictions.failed == 1
    assert np.isnan(journal.predictions.score[0])


def test_the_static_model_sees_the_features_as_they_were_logged(journal: Journal) -> None:
    seen: list[dict[str, Any]] = []

    def scorer(rows: list[dict[str, Any]]) -> np.ndarray:
        seen.extend(rows)
        return np.full(len(rows), 0.5)

    journal.take(message(prediction("run.a")))
    journal.use(scorer)
    journal.score_pending()
    journal.score_pending()
    assert seen == [{"x": 1.5, "carrier": "UA", "temp": None}]
    assert list(journal.predictions.static) == [0.5]


def test_a_later_revision_replaces_an_earlier_one_in_any_order(journal: Journal) -> None:
    for number, body in enumerate((measured(10), measured(12, revision=2), measured(11, 1))):
        journal.take(message(body, f"e{number}"))
    assert journal.labels_joined == {"2013-02-01": 12}


def test_the_arms_of_a_day_add_up(journal: Journal) -> None:
    journal.take(message(measured(10), "e1"))
    journal.take(message(measured(5, arm="challenger"), "e2"))
    journal.take(message(measured(7, arm="shadow"), "e3"))
    assert journal.labels_joined == {"2013-02-01": 15}


def test_an_event_that_is_published_again_counts_once(journal: Journal) -> None:
    arrived = DataArrived(
        dataset="flights",
        table_uri="lake/flights",
        table_version=1,
        rows=5,
        total_rows=5,
        contract_version="1",
    )
    for _ in range(2):
        journal.take(message(arrived, "same"))
    assert journal.lake_rows == {"flights": 5}


def test_dead_letters_are_reported_with_their_reason(journal: Journal) -> None:
    headers = (("dead_error", b"InvalidBodyError"), ("dead_text", b"label: not a number"))
    journal.take(Message("trainer.dead", 0, 0, None, b"x", headers))
    assert journal.dead == ["trainer.dead: InvalidBodyError: label: not a number"]
