"""The AsyncAPI 3.0 document: every topic, every message, and who sends and receives it."""

from typing import Any

from event_schemas.base import EventBody
from event_schemas.catalog import OUTSIDE, ROUTES, SERVICES
from event_schemas.generate.json_schema import shared_schemas
from event_schemas.topics import topic_of

_KAFKA_BINDING = "0.5.0"


def asyncapi(
    events: tuple[type[EventBody], ...], examples: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the document for these events; `examples` holds one body for each type.

    It refers to nothing outside itself. Partitions and replicas are left to operations.
    """
    return {
        "asyncapi": "3.0.0",
        "id": "urn:tailrace:events",
        "info": {
            "title": "Tailrace events",
            "version": str(max(event.schema_version for event in events)) + ".0.0",
            "description": (
                "The events through which the services of Tailrace meet: CloudEvents 1.0 over"
                " Kafka in binary mode. Readers ignore fields that they do not know; a new field"
                " has a default; a breaking change is a new type. Generated from the models in"
                " `schemas/` by `make generate`."
            ),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
            "tags": [{"name": name, "description": text} for name, text in SERVICES.items()],
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The broker that `KAFKA_BOOTSTRAP_SERVERS` names.",
                "variables": {"bootstrap": {"default": "127.0.0.1:19092"}},
            }
        },
        "channels": {event.type: _channel(event) for event in events},
        "operations": _operations(events),
        "components": {
            "messages": {event.__name__: _message(event, examples[event.type]) for event in events},
            "messageTraits": {"cloudEvent": {"headers": _ENVELOPE}},
            "schemas": _parts(events),
        },
    }


def _channel(event: type[EventBody]) -> dict[str, Any]:
    return {
        "address": event.topic(),
        "title": event.type,
        "description": _meaning(event),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"}},
        "bindings": {
            "kafka": {
                "topic": event.topic(),
                "topicConfiguration": _configuration(event),
                "bindingVersion": _KAFKA_BINDING,
            }
        },
    }


def _configuration(event: type[EventBody]) -> dict[str, Any]:
    config = topic_of(event).config
    found: dict[str, Any] = {"cleanup.policy": [config["cleanup.policy"]]}
    if "retention.ms" in config:
        found["retention.ms"] = int(config["retention.ms"])
    return found


def _message(event: type[EventBody], example: dict[str, Any]) -> dict[str, Any]:
    envelope = {
        "ce_specversion": "1.0",
        "ce_id": "6f1c2f0e-6c0b-5e0a-9d0d-3f3f5a0c7b11",
        "ce_type": event.type,
        "ce_source": f"/tailrace/{ROUTES[event.type].senders[0]}",
        "ce_subject": str(example[event.key_field]),
        "ce_dataschema": event.data_schema(),
        "content-type": "application/json",
    }
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": _meaning(event),
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "headers": {
            "type": "object",
            "properties": {
                "ce_type": {"const": event.type},
                "ce_dataschema": {
                    "type": "string",
                    "pattern": f"^urn:tailrace:event:{event.type.replace('.', '[.]')}:v[0-9]+$",
                    "description": "Names the version of the contract that the writer knew.",
                },
            },
        },
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"The body's `{event.key_field}`."},
                "bindingVersion": _KAFKA_BINDING,
            }
        },
        "examples": [{"name": event.type, "headers": envelope, "payload": example}],
    }


def _operations(events: tuple[type[EventBody], ...]) -> dict[str, Any]:
    operations: dict[str, Any] = {}
    for event in events:
        route = ROUTES[event.type]
        for action, services in (("send", route.senders), ("receive", route.receivers)):
            for service in services:
                operations[f"{service}.{action}.{event.type}"] = {
                    "action": action,
                    "title": f"{service} {action}s {event.type}",
                    "channel": {"$ref": f"#/channels/{event.type}"},
                    "messages": [{"$ref": f"#/channels/{event.type}/messages/{event.__name__}"}],
                    "tags": [{"name": service}] if service != OUTSIDE else [],
                }
    return dict(sorted(operations.items()))


def _parts(events: tuple[type[EventBody], ...]) -> dict[str, Any]:
    schemas = shared_schemas(events, ref_template="#/components/schemas/{model}")
    return {name: _wrap_references(schema) for name, schema in schemas.items()}


def _wrap_references(node: Any) -> Any:
    """Put each `$ref` that has a description into `allOf`: AsyncAPI drops what stands beside it."""
    if isinstance(node, list):
        return [_wrap_references(part) for part in node]
    if not isinstance(node, dict):
        return node
    parts = {name: _wrap_references(part) for name, part in node.items()}
    if "$ref" in parts and len(parts) > 1:
        return {"allOf": [{"$ref": parts.pop("$ref")}], **parts}
    return parts


def _meaning(event: type[EventBody]) -> str:
    return (event.__doc__ or "").strip()


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source"],
    "properties": {
        "ce_specversion": _text("Version of CloudEvents.", const="1.0"),
        "ce_id": _text("With `ce_source`, unique; a repeated one is the same event.", minLength=1),
        "ce_type": _text("Type of the event: the name of its topic.", minLength=1),
        "ce_source": _text("Who published it, e.g. `/tailrace/trainer`.", minLength=1),
        "ce_time": _text("When it was published, in wall time.", format="date-time"),
        "ce_subject": _text("What it is about: the Kafka key."),
        "ce_dataschema": _text("URN of the JSON Schema of the body."),
        "content-type": _text("Media type of the body.", default="application/json"),
        "traceparent": _text("Trace and span of the sender, in W3C Trace Context."),
        "ce_causationid": _text("Id of the event that caused this one."),
        "ce_correlationid": _text("Id of the event with which this turn of the loop began."),
        "ce_hops": _text("Length of the chain of causes.", pattern="^[0-9]{1,6}$"),
    },
}
