"""`docs/events.md`: every event, for people."""

import json
from typing import Any

from event_schemas.base import EventBody
from event_schemas.catalog import OUTSIDE, ROUTES
from event_schemas.topics import RETENTION, topic_of

Schema = dict[str, Any]

_FORMATS = {"date-time": "time", "duration": "duration"}
_WORDS = {"string": "text", "object": "map", "array": "list", "boolean": "true or false"}

_TOP = """\
# Events

This page is generated from the models in `schemas/src/event_schemas` by `make generate` \
(`python -m event_schemas.generate`): change the models, not the page.

The services meet in Kafka and nowhere else. Each event has one topic of the same name. Its body \
is JSON; around it stands a [CloudEvents 1.0](https://cloudevents.io) envelope in binary mode \
(headers `ce_id`, `ce_type`, `ce_source`, `ce_time`, `ce_subject`, `ce_dataschema`, \
`content-type`, and the extensions `traceparent`, `ce_causationid`, `ce_correlationid`, \
`ce_hops`). Readers take structured mode as well. Anyone may publish an event; *outside* marks \
those that a person or another program usually sends. An event that no service receives is for \
people and for programs of yours.

For machines: [`schemas/json`](../schemas/json) holds a JSON Schema of each event, \
[`schemas/asyncapi.json`](../schemas/asyncapi.json) the AsyncAPI document.

## The loop

```
 record.received                                        rollout.command
        │                                                      │
        ▼      data.arrived             model.approved         ▼       rollout.step
     ingest ─────────────────▶ trainer ───────────────────▶ deployer ───────────────▶ predictor
        │                       ▲   │                          ▲                          │
        │        drift.detected │   │ model.trained            │ arm.measured             │
        │                       │   ▼                          │                          │
        └─────────────────▶ drift-monitor ─────────────────────┘                          │
          label.arrived             ▲                                                     │
                                    └─────────────────────────────────────────────────────┘
                                                       prediction.logged
```

`retrain.requested` starts a training, whoever sends it; `retrain.decided`, `training.failed` and \
`model.rejected` say what became of it. The trainer and the drift-monitor read `rollout.step` too.

## All events
"""

_TYPES = """\
## Parts

What several bodies are made of. *time* is RFC 3339 with an offset, written in UTC; *duration* is \
ISO 8601; a number is finite, and null where it could not be measured. A field without the word \
*required* may be left out.
"""


def events_page(
    events: tuple[type[EventBody], ...],
    contracts: dict[str, Schema],
    examples: dict[str, dict[str, Any]],
) -> str:
    """Return the page for these events; contracts and examples are given by event type."""
    parts: dict[str, Schema] = {}
    for contract in contracts.values():
        parts |= contract.get("$defs", {})
    lines = [_TOP, *_all_events(events)]
    for event in events:
        lines += _event(event, contracts[event.type], examples[event.type])
    lines.append(_TYPES)
    for name, part in sorted(parts.items()):
        if "properties" in part:
            lines += [f"### {name}", "", part.get("description", ""), "", *_fields(part), ""]
    return "\n".join(lines).rstrip() + "\n"


def _all_events(events: tuple[type[EventBody], ...]) -> list[str]:
    lines = ["| event | key | sent by | received by | kept |", "|---|---|---|---|---|"]
    for event in events:
        route = ROUTES[event.type]
        lines.append(
            f"| [`{event.type}`](#{_anchor(event.type)}) | `{event.key_field}`"
            f" | {_names(route.senders)} | {_names(route.receivers)}"
            f" | {_kept(event)} |"
        )
    return [*lines, ""]


def _kept(event: type[EventBody]) -> str:
    retention = RETENTION.get(topic_of(event).kind)
    return "the newest of a key" if retention is None else f"{retention.days} days"


def _event(event: type[EventBody], contract: Schema, example: dict[str, Any]) -> list[str]:
    route = ROUTES[event.type]
    kept = "; the topic keeps the newest event of each key" if event.compacted else ""
    return [
        f"## {event.type}",
        "",
        contract["description"],
        "",
        f"`{event.__name__}`, version {event.schema_version}. Key: `{event.key_field}`{kept}."
        f" Sent by {_names(route.senders)}; received by {_names(route.receivers) or 'no service'}.",
        "",
        *_fields(contract),
        "",
        "<details><summary>Example</summary>",
        "",
        "```json",
        json.dumps(example, indent=2, ensure_ascii=False),
        "```",
        "",
        "</details>",
        "",
    ]


def _fields(schema: Schema) -> list[str]:
    lines = ["| field | type | without it | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        absent = "*required*" if name in schema.get("required", ()) else _default(field)
        meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
        lines.append(f"| `{name}` | {_type_name(field)} | {absent} | {meaning} |")
    return lines


def _default(field: Schema) -> str:
    if "default" not in field:
        return "empty"
    default = field["default"]
    return "its defaults" if "$ref" in field else f"`{json.dumps(default, ensure_ascii=False)}`"


def _names(services: tuple[str, ...]) -> str:
    return ", ".join(f"*{name}*" if name == OUTSIDE else name for name in services)


def _anchor(heading: str) -> str:
    return heading.lower().replace(".", "")


def _type_name(schema: dict[str, Any]) -> str:
    """Return the type, with its limits, in Markdown that a table cell can hold."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "any JSON" if name == "JsonValue" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type_name(part) for part in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type_name(schema['items'])}"
    if kind == "object" and "additionalProperties" in schema:
        return f"map of text to {_type_name(schema['additionalProperties'])}"
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
