"""Each event of the catalog has a line that says more than its name."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from event_schemas import BY_TYPE
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
