"""Says a JSON Schema type in a few words for people."""

from typing import Any

_FORMATS = {"date-time": "time", "duration": "duration"}
_WORDS = {"string": "text", "object": "map", "array": "list", "boolean": "true or false"}


def type_name(schema: dict[str, Any]) -> str:
    """The type, with its limits, in Markdown that a table cell can hold."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_name(part) for part in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {type_name(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map of text to {type_name(schema['additionalProperties'])}"
    word = _FORMATS.get(schema.get("format", ""), _WORDS.get(kind, kind))
    return f"{word}{_limits(schema)}"


def _limits(schema: dict[str, Any]) -> str:
    if "pattern" in schema:
        return f" like `{schema['pattern']}`".replace("|", "\\|")
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if shortest is not None or longest is not None:
        return f", {shortest or 0} to {longest or 'any number of'} characters"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return " " + " and ".join(found) if found else ""
