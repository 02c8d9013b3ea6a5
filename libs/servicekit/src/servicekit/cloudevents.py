"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in.

Binary mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from event_schemas import BY_TYPE, EventBody
from servicekit.bus import Message, Record
from servicekit.errors import InvalidBodyError, UndecodableError, UnknownEventError
from servicekit.event import Event

SPEC_VERSION = "1.0"
STRUCTURED = b"application/cloudevents+json"


def data_schema(body: type[EventBody]) -> str:
    """The URI of the JSON Schema of a body."""
    return f"urn:tailrace:event:{body.type}:v{body.schema_version}"


def encode(event: Event) -> Record:
    """The Kafka record of an event, in binary mode."""
    body: EventBody = event.body
    headers = [
        ("ce_specversion", SPEC_VERSION),
        ("ce_id", event.id),
        ("ce_type", body.type),
        ("ce_source", event.source),
        ("ce_time", event.time.astimezone(UTC).isoformat().replace("+00:00", "Z")),
        ("ce_subject", body.key),
        ("ce_dataschema", data_schema(type(body))),
        ("content-type", "application/json"),
        ("ce_correlationid", event.turn),
        ("ce_hops", str(event.hops)),
    ]
    if event.causation_id:
        headers.append(("ce_causationid", event.causation_id))
    if event.traceparent:
        headers.append(("traceparent", event.traceparent))
    return Record(
        topic=body.topic(),
        key=body.key.encode(),
        value=body.model_dump_json().encode(),
        headers=tuple((name, value.encode()) for name, value in headers),
    )


def decode(message: Message) -> Event:
    """The event in a Kafka message.

    Raises:
        UndecodableError: no CloudEvent, or a body that is no JSON object.
        UnknownEventError: a type that no contract names.
        InvalidBodyError: a body that breaks its contract.
    """
    headers = dict(message.headers)
    if headers.get("content-type", b"").startswith(STRUCTURED):
        attributes, data = _structured(message)
    else:
        attributes = {
            name.removeprefix("ce_"): value.decode("utf-8", "replace")
            for name, value in message.headers
            if name.startswith("ce_") or name == "traceparent"
        }
        data = message.value
    if data is None:
        raise UndecodableError("the message has no value")
    for name in ("id", "type", "source"):
        if not attributes.get(name):
            raise UndecodableError(
                f"the header ce_{name} is missing: send CloudEvents 1.0 in binary mode"
                " (headers ce_id, ce_type, ce_source, ce_specversion) or in structured mode"
            )
    contract = BY_TYPE.get(attributes["type"])
    if contract is None:
        raise UnknownEventError(
            f"ce_type {attributes['type']!r} is in no contract; known are {', '.join(BY_TYPE)}"
        )
    return Event(
        body=_body(contract, data),
        id=attributes["id"],
        source=attributes["source"],
        time=_time(attributes.get("time"), message.timestamp_ms),
        causation_id=attributes.get("causationid"),
        correlation_id=attributes.get("correlationid", ""),
        hops=_hops(attributes.get("hops", "0")),
        traceparent=attributes.get("traceparent"),
    )


def _body(contract: type[EventBody], data: bytes) -> EventBody:
    try:
        return contract.model_validate_json(data)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        if problems[0]["type"] == "json_invalid":
            raise UndecodableError(f"the value is no JSON: {problems[0]['msg']}") from error
        text = "; ".join(
            f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}, got {_short(p['input'])}"
            for p in problems[:5]
        )
        raise InvalidBodyError(f"{contract.type}: {text}") from error


def _structured(message: Message) -> tuple[dict[str, str], bytes | None]:
    try:
        document: Any = json.loads(message.value or b"")
    except ValueError as error:
        raise UndecodableError(f"the structured CloudEvent is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise UndecodableError("the structured CloudEvent is no JSON object")
    data = document.pop("data", None)
    attributes = {name: str(value) for name, value in document.items() if value is not None}
    return attributes, None if data is None else json.dumps(data).encode()


def _time(text: str | None, timestamp_ms: int) -> datetime:
    if text is None:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise UndecodableError(f"ce_time {text!r} is no RFC 3339 time") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _hops(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise UndecodableError(f"ce_hops {text[:20]!r} is no count")
    return int(text)


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
