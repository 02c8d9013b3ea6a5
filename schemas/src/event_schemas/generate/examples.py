"""The examples: one complete body for every version of every event, written by hand and kept."""

import json
from pathlib import Path
from typing import Any

from event_schemas.base import EventBody

FOLDER = "schemas/examples"


def example_path(event: type[EventBody]) -> str:
    """Return the path of the example of the present version, from the root of the checkout."""
    return f"{FOLDER}/{event.type}.v{event.schema_version}.json"


def read_example(root: Path, event: type[EventBody]) -> dict[str, Any]:
    """Return the example of the event's present version.

    Raises:
        FileNotFoundError: nobody has written it yet.
    """
    path = root / example_path(event)
    if not path.exists():
        raise FileNotFoundError(
            f"{example_path(event)} is missing: write one complete, realistic body of {event.type}"
        )
    return json.loads(path.read_text("utf-8"))
