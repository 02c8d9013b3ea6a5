"""Each event of the catalog has a line that says more than its name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from event_schemas import BY_TYPE, PredictionLogged
from servicekit.event import Event
from tailrace.describe import describe

EXAMPLES = Path(__file__).parents[3] / "schemas/examples"


@pytest.mark.parametrize("name", BY_TYPE)
def test_fault_4_11_every_event_is_shown_with_its_content(name: str) -> None:
    body = BY_TYPE[name].model_validate_json((EXAMPLES / f"{name}.v1.json").read_bytes())
    line = describe(Event(body=body, source="/test", time=datetime(2013, 6, 1, tzinfo=UTC)))
    assert line != name
    assert " " in line
    assert not line.startswith("{"), "it has a line of its own"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"score": 0.25}, "on JFK: 0.2500"),
        ({"score": None, "prediction": 12.5}, "on JFK: 12.5"),
        (
            {"score": None, "prediction": "late", "scores": {"late": 0.7, "early": 0.3}},
            "on JFK: late (0.7000 for late)",
        ),
        ({"score": None}, "on JFK: no score"),
        ({"score": None, "error": "timeout"}, "on JFK: timeout"),
    ],
)
def test_an_answer_is_shown_as_its_task_has_it(answer: dict, said: str) -> None:
    example = (EXAMPLES / "prediction.logged.v1.json").read_bytes()
    body = PredictionLogged.model_validate_json(example)
    body = body.model_copy(update={"entity": "JFK", **answer})
    line = describe(Event(body=body, source="/test", time=datetime(2013, 6, 1, tzinfo=UTC)))
    assert line.endswith(said)
