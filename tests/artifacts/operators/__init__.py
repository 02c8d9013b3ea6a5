"""What the kinds of operators have to look like: their own schemas, taken strictly."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema

HERE = Path(__file__).parent
OPEN = "x-kubernetes-preserve-unknown-fields"


@functools.cache
def schema_of(api_version: str, kind: str) -> jsonschema.Draft202012Validator | None:
    """The validator of a kind; none for one that no operator of ours has."""
    path = HERE / f"{api_version.replace('/', '_')}_{kind}.json"
    if not path.exists():
        return None
    return jsonschema.Draft202012Validator(closed(json.loads(path.read_text(encoding="utf-8"))))


def closed(node: Any, within: str = "") -> Any:
    """A schema that refuses a field which it does not name, as `kubectl --validate=strict` does."""
    if isinstance(node, list):
        return [closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {key: closed(value, key) for key, value in node.items()}
    # `properties` holds fields, one of which may be called like a word of JSON Schema.
    if within == "properties":
        return inner
    named = "properties" in inner and "additionalProperties" not in inner
    if named and not inner.get(OPEN) and within != "metadata":
        inner["additionalProperties"] = False
    if inner.get("x-kubernetes-int-or-string"):
        inner.pop("type", None)
    if inner.pop("nullable", False) and isinstance(inner.get("type"), str):
        inner["type"] = [inner["type"], "null"]
    return inner


def faults(doc: dict[str, Any]) -> list[str] | None:
    """What is wrong with a resource, by field; none if its kind is not known."""
    validator = schema_of(doc["apiVersion"], doc["kind"])
    if validator is None:
        return None
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(doc)]
