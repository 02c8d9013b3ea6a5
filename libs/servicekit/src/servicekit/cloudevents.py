"""CloudEvents 1.0 over Kafka: binary mode out, binary and structured mode in.

Binary mode: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import json
from base64 import b64decode
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

from pydantic import ValidationError

from event_schemas import BY_TYPE, EventBody
from servicekit.bus import MAX_VALUE_BYTES, Headers, Message, Record
from servicekit.errors import (
    InvalidBodyError,
    TooLargeError,
    UndecodableError,
    UnknownEventError,
)
from servicekit.event import Event

SPEC_VERSION = "1.0"
STRUCTURED = b"application/cloudevents+json"
BOM = b"\xef\xbb\xbf"
"""What some editors and libraries put before JSON; RFC 8259, 8.1, lets a reader pass over it."""


def data_schema(body: type[EventBody]) -> str:
    """The URI of the JSON Schema of a body."""
    return f"urn:tailrace:event:{body.type}:v{body.schema_version}"


@cache
def _fixed_headers(body: type[EventBody]) -> Headers:
    """The headers that all events of a type share."""
    return (
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", body.type.encode()),
        ("ce_dataschema", data_schema(body).encode()),
        ("content-type", b"application/json"),
    )


@lru_cache(maxsize=16)
def _stamp(time: datetime) -> bytes:
    """RFC 3339; the events of a batch mostly share their time."""
    return f"{time.astimezone(UTC).isoformat()[:-6]}Z".encode()


def encode(event: Event) -> Record:
    """The Kafka record of an event, in binary mode.

    Raises:
        TooLargeError: the body is larger than a topic takes.
    """
    body: EventBody = event.body
    key = body.key.encode()
    value = body.model_dump_json().encode()
    if len(value) > MAX_VALUE_BYTES:
        raise TooLargeError(
            f"{body.type} of {body.key!r} takes {len(value)} bytes, more than {MAX_VALUE_BYTES}:"
            " put the data where it can be fetched, and its address into the event"
        )
    headers: Headers = (
        *_fixed_headers(type(body)),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_time", _stamp(event.time)),
        ("ce_subject", key),
        ("ce_correlationid", event.turn.encode()),
        ("ce_hops", str(event.hops).encode()),
    )
    if event.causation_id:
        headers += (("ce_causationid", event.causation_id.encode()),)
    if event.traceparent:
        headers += (("traceparent", event.traceparent.encode()),)
    return Record(body.topic(), key, value, headers)


def decode(message: Message) -> Event:
    """The event in a Kafka message.

    Raises:
        UndecodableError: no CloudEvent, or a body that is no JSON object.
        UnknownEventError: a type that no contract names.
        InvalidBodyError: a body that breaks its contract.
    """
    # A header without a value, as some senders write null, says as little as none.
    headers = {name: value for name, value in message.headers if value}
    data = message.value
    # Media types are case-insensitive (RFC 9110, 8.3.1).
    if headers.get("content-type", b"").lower().startswith(STRUCTURED):
        headers, data = _structured(message)
    if data is None:
        raise UndecodableError("the message has no value")

    # Plain look-ups: this is done for every event that any service reads.
    text = {name: value.decode("utf-8", "replace") for name, value in headers.items()}.get
    identity, kind, source = text("ce_id"), text("ce_type"), text("ce_source")
    if not (identity and kind and source):
        name = "ce_id" if not identity else "ce_source" if kind else "ce_type"
        raise UndecodableError(
            f"the header {name} is missing: send CloudEvents 1.0 in binary mode"
            " (headers ce_id, ce_type, ce_source, ce_specversion) or in structured mode"
        )
    contract = BY_TYPE.get(kind)
    if contract is None:
        raise UnknownEventError(
            f"ce_type {kind!r} is in no contract; known are {', '.join(BY_TYPE)}"
        )
    return Event(
        body=_body(contract, data),
        id=identity,
        source=source,
        time=_time(text("ce_time"), message.timestamp_ms),
        causation_id=text("ce_causationid"),
        correlation_id=text("ce_correlationid") or "",
        hops=_hops(text("ce_hops") or "0"),
        traceparent=text("traceparent"),
    )


def _body(contract: type[EventBody], data: bytes) -> EventBody:
    try:
        return contract.model_validate_json(data.removeprefix(BOM))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        if problems[0]["type"] == "json_invalid":
            raise UndecodableError(f"the value is no JSON: {problems[0]['msg']}") from error
        text = "; ".join(
            f"{'.'.join(map(str, p['loc'])) or 'body'}: {p['msg']}, got {_short(p['input'])}"
            for p in problems[:5]
        )
        raise InvalidBodyError(f"{contract.type}: {text}") from error


def _structured(message: Message) -> tuple[dict[str, bytes], bytes | None]:
    """The attributes as the headers of binary mode, and the data."""
    try:
        document: Any = json.loads(message.value or b"")
        if not isinstance(document, dict):
            raise UndecodableError("the structured CloudEvent is no JSON object")
        data = document.pop("data", None)
        encoded = document.pop("data_base64", None)
        headers = {
            name if name == "traceparent" else f"ce_{name}": str(value).encode("utf-8", "replace")
            for name, value in document.items()
            if value is not None
        }
        if encoded is not None:
            return headers, b64decode(str(encoded), validate=True)
        # ASCII, so that half of a surrogate pair is refused by the contract and not by the codec.
        return headers, None if data is None else json.dumps(data).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise UndecodableError(f"the structured CloudEvent is no JSON: {error}") from error


def _time(text: str | None, timestamp_ms: int) -> datetime:
    try:
        if text is None:
            return datetime.fromtimestamp(timestamp_ms / 1000, UTC)
        # RFC 3339, 5.6: T and Z may be lower case.
        time = datetime.fromisoformat(text.upper())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        named = f"ce_time {text[:80]!r}" if text is not None else f"the timestamp {timestamp_ms}"
        raise UndecodableError(
            f"{named} is no time from year 1 to 9999: send ce_time as RFC 3339, or a timestamp in"
            " milliseconds since 1970"
        ) from error


def _hops(text: str) -> int:
    if not text.isdecimal() or len(text) > 6:
        raise UndecodableError(f"ce_hops {text[:20]!r} is no count")
    return int(text)


def _short(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
