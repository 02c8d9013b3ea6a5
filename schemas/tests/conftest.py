"""Builds bodies from the contracts themselves, so that a new field is tested without a new test."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from pydantic import TypeAdapter

from event_schemas import EVENTS
from event_schemas.base import Duration
from event_schemas.generate.json_schema import json_schema

Strategy = st.SearchStrategy[Any]

_NUMBERS = st.floats(-1e12, 1e12)
_TEXTS = st.text(max_size=8)
_JSON = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _NUMBERS | _TEXTS
_TIMES = st.integers(0, 2**52).map(
    lambda micros: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
_DURATIONS = st.timedeltas(timedelta(0), timedelta(days=4000)).map(
    lambda length: TypeAdapter(Duration).dump_python(length, mode="json")
)


def _allowed(schema: dict[str, Any], root: dict[str, Any]) -> Strategy:
    """Every JSON value that a schema allows, in the dialect that our models produce."""
    if "$ref" in schema:
        return _allowed(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return st.one_of([_allowed(part, root) for part in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _object(schema, root)
        case "array":
            return st.lists(_allowed(schema["items"], root), max_size=2)
        case "string":
            return _text(schema)
        case "integer":
            return st.integers(schema.get("minimum", -1000), schema.get("maximum", 2**40))
        case "number":
            return _number(schema)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case None:
            return _JSON | st.lists(_JSON, max_size=2)
        case other:
            raise NotImplementedError(f"no strategy for {other}")


def _object(schema: dict[str, Any], root: dict[str, Any]) -> Strategy:
    if "properties" not in schema:
        return st.dictionaries(_TEXTS, _allowed(schema["additionalProperties"], root), max_size=2)
    fields = {name: _allowed(part, root) for name, part in schema["properties"].items()}
    required = schema.get("required", ())
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: part for name, part in fields.items() if name not in required},
    )


def _text(schema: dict[str, Any]) -> Strategy:
    if schema.get("format") == "date-time":
        return _TIMES.map(lambda time: time.isoformat().replace("+00:00", "Z"))
    if schema.get("format") == "duration":
        return _DURATIONS
    if "pattern" in schema:
        return st.from_regex(schema["pattern"].replace("$", r"\Z"))
    return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 8), 8))


def _number(schema: dict[str, Any]) -> Strategy:
    return st.floats(
        schema.get("minimum", schema.get("exclusiveMinimum", -1e12)),
        schema.get("maximum", schema.get("exclusiveMaximum", 1e12)),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
    )


@pytest.fixture(scope="session")
def contracts() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every event, by type."""
    return {event.type: json_schema(event) for event in EVENTS}


@pytest.fixture(scope="session")
def documents(contracts) -> dict[str, Strategy]:
    """Strategy for the JSON documents that the contract of an event allows, by type."""
    return {name: _allowed(contract, contract) for name, contract in contracts.items()}


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def examples(root: Path) -> dict[str, dict[str, Any]]:
    """Every example that is kept, by file name without `.json`: all versions of all events."""
    files = sorted((root / "schemas/examples").glob("*.json"))
    return {file.stem: json.loads(file.read_text("utf-8")) for file in files}
