"""The generated files: their paths, their text, and which of them are stale."""

import json
from pathlib import Path
from typing import Any

from event_schemas import EVENTS
from event_schemas.generate.asyncapi import asyncapi
from event_schemas.generate.events_page import events_page
from event_schemas.generate.examples import read_example
from event_schemas.generate.json_schema import json_schema
from event_schemas.generate.strimzi_yaml import rights_yaml, topics_yaml

CONTRACTS = "schemas/json"


def generated(root: Path) -> dict[str, str]:
    """Return the text of every generated file, by its path from the root of the checkout.

    The contracts of older versions are not among them: they were released, and stay as they are.

    Raises:
        FileNotFoundError: an event has no example.
    """
    examples = {event.type: read_example(root, event) for event in EVENTS}
    contracts = {event.type: json_schema(event) for event in EVENTS}
    files = {
        f"{CONTRACTS}/{event.type}.v{event.schema_version}.json": _json(contracts[event.type])
        for event in EVENTS
    }
    files["schemas/asyncapi.json"] = _json(asyncapi(EVENTS, examples))
    files["helm/tailrace/topics.yaml"] = topics_yaml()
    files["helm/tailrace/rights.yaml"] = rights_yaml()
    files["docs/events.md"] = events_page(EVENTS, contracts, examples)
    return files


def stale(root: Path) -> list[str]:
    """Return the paths of the generated files that are missing or no longer what the models say."""
    return _stale(root, generated(root))


def write(root: Path) -> list[str]:
    """Write what is stale, and return its paths."""
    texts = generated(root)
    paths = _stale(root, texts)
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(texts[path], "utf-8", newline="\n")
    return paths


def _stale(root: Path, texts: dict[str, str]) -> list[str]:
    return [path for path, text in texts.items() if _text(root / path) != text]


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.exists() else None


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
