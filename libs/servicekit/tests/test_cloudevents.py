"""Events to messages and back, and every way in which a message can be poison."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas import LabelArrived, RetrainRequested
from servicekit.bus import MAX_VALUE_BYTES, Message, Record
from servicekit.cloudevents import decode, encode
from servicekit.errors import (
    InvalidBodyError,
    PoisonMessageError,
    TooLargeError,
    UndecodableError,
    UnknownEventError,
)
from servicekit.event import Event

WHEN = datetime(2013, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
BODY = LabelArrived(prediction_id="p1", model="flight_delay", label=1.0, observed_at=WHEN)
EVENT = Event(body=BODY, source="/tailrace/ingest", time=WHEN, id="e1")

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
times = st.builds(
    lambda seconds: datetime.fromtimestamp(seconds, timezone(timedelta(hours=5))),
    st.floats(0, 7e9),
)
events = st.builds(
    Event,
    body=st.builds(
        RetrainRequested,
        model=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
        cause=st.sampled_from(["drift", "manual"]),
        evidence=st.lists(text).map(tuple),
        requested_by=text,
        event_time=times,
    ),
    source=text,
    time=times,
    id=text,
    causation_id=st.none() | text,
    correlation_id=text,
    hops=st.integers(0, 100),
    traceparent=st.none() | st.just("00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
)


def arrived(record: Record, **changes: Any) -> Message:
    fields = {
        "topic": record.topic,
        "partition": 0,
        "offset": 7,
        "key": record.key,
        "value": record.value,
        "headers": record.headers,
        "timestamp_ms": 1_357_000_000_000,
    }
    return Message(**{**fields, **changes})


def with_headers(**changes: bytes | None) -> Message:
    """EVENT, some of its headers changed or, when None, left out."""
    record = encode(EVENT)
    headers = {**dict(record.headers), **changes}
    return arrived(record, headers=tuple((n, v) for n, v in headers.items() if v is not None))


def structured(value: object, kind: bytes = b"application/cloudevents+json") -> Message:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return arrived(encode(EVENT), value=data, headers=(("content-type", kind),))


DOCUMENT = {
    "specversion": "1.0",
    "id": "e1",
    "type": "label.arrived",
    "source": "/notebook",
    "time": "2013-01-02T03:04:05Z",
    "causationid": "c1",
    "traceparent": "00-x",
    "data": json.loads(BODY.model_dump_json()),
}


@given(events)
def test_an_event_comes_back_as_it_was_sent(event: Event[Any]) -> None:
    assert decode(arrived(encode(event))) == event


def test_the_record_is_a_cloudevent_in_binary_mode() -> None:
    record = encode(EVENT)
    assert (record.topic, record.key, record.partition) == ("label.arrived", b"p1", None)
    assert json.loads(record.value or b"")["prediction_id"] == "p1"
    assert dict(record.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"e1",
        "ce_type": b"label.arrived",
        "ce_source": b"/tailrace/ingest",
        "ce_time": b"2013-01-02T03:04:05.678901Z",
        "ce_subject": b"p1",
        "ce_dataschema": b"urn:tailrace:event:label.arrived:v1",
        "content-type": b"application/json",
        "ce_correlationid": b"e1",
        "ce_hops": b"0",
    }


def test_structured_mode_is_read_as_well() -> None:
    event = decode(structured(DOCUMENT, b"application/cloudevents+json; charset=utf-8"))
    assert event.body == BODY
    assert (event.id, event.source, event.causation_id) == ("e1", "/notebook", "c1")
    assert event.traceparent == "00-x"
    assert event.time == datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_structured_data_may_be_base64() -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != "data"}
    document["data_base64"] = b64encode(BODY.model_dump_json().encode()).decode()
    assert decode(structured(document)).body == BODY


def test_a_writer_without_a_clock_gets_the_time_of_the_message() -> None:
    assert decode(with_headers(ce_time=None)).time == datetime.fromtimestamp(1_357_000_000, UTC)


def test_an_unknown_field_of_a_newer_writer_is_passed_over() -> None:
    value = {**json.loads(BODY.model_dump_json()), "added_later": 1}
    assert decode(arrived(encode(EVENT), value=json.dumps(value).encode())).body == BODY


@pytest.mark.parametrize(
    ("message", "error", "says"),
    [
        (lambda: arrived(encode(EVENT), value=None), UndecodableError, "no value"),
        (lambda: arrived(encode(EVENT), headers=()), UndecodableError, "ce_id is missing"),
        (lambda: with_headers(ce_type=None), UndecodableError, "ce_type is missing"),
        (lambda: with_headers(ce_source=b""), UndecodableError, "ce_source is missing"),
        (lambda: with_headers(ce_type=b"no.such"), UnknownEventError, "'no.such' is in no"),
        (lambda: with_headers(ce_time=b"yesterday"), UndecodableError, "is no time from year 1"),
        (lambda: with_headers(ce_hops=b"-1"), UndecodableError, "no count"),
        (lambda: with_headers(ce_hops=b"1" * 5000), UndecodableError, "no count"),
        (lambda: arrived(encode(EVENT), value=b"\xff"), UndecodableError, "no JSON"),
        (lambda: arrived(encode(EVENT), value=b"{"), UndecodableError, "no JSON"),
        (lambda: arrived(encode(EVENT), value=b"[" * 99_999), UndecodableError, "no JSON"),
        (lambda: arrived(encode(EVENT), value=b"[]"), InvalidBodyError, "body: "),
        (
            lambda: arrived(encode(EVENT), value=b'{"prediction_id":"","label":[]}'),
            InvalidBodyError,
            r"label.arrived: prediction_id: .*got ''; model: .*; label.*got \[\]",
        ),
        (lambda: structured(b"{"), UndecodableError, "no JSON"),
        (lambda: structured(b"[" * 99_999), UndecodableError, "no JSON"),
        (lambda: structured([]), UndecodableError, "no JSON object"),
        (lambda: structured({**DOCUMENT, "data": None}), UndecodableError, "no value"),
        (lambda: structured({**DOCUMENT, "data": {}}), InvalidBodyError, "prediction_id"),
        (lambda: structured({**DOCUMENT, "data_base64": "&"}), UndecodableError, "no JSON"),
        (lambda: structured({**DOCUMENT, "id": None}), UndecodableError, "ce_id is missing"),
    ],
)
def test_poison_is_named(
    message: Callable[[], Message], error: type[PoisonMessageError], says: str
) -> None:
    with pytest.raises(error, match=says):
        decode(message())


@given(st.binary(max_size=200), st.lists(st.tuples(text, st.binary(max_size=20))))
def test_whatever_comes_is_an_event_or_poison(
    value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    for given_headers in (headers, [*encode(EVENT).headers, *headers]):
        try:
            decode(arrived(encode(EVENT), value=value, headers=tuple(given_headers)))
        except PoisonMessageError:
            continue


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    def of_size(size: int) -> Event[Any]:
        body = RetrainRequested(
            model="m", cause="manual", requested_by="x", evidence=("",), event_time=WHEN
        )
        room = size - len(body.model_dump_json())
        return Event(
            body=body.model_copy(update={"evidence": ("x" * room,)}), source="s", time=WHEN
        )

    assert len(encode(of_size(MAX_VALUE_BYTES)).value or b"") == MAX_VALUE_BYTES
    with pytest.raises(TooLargeError, match="1000001 bytes, more than 1000000"):
        encode(of_size(MAX_VALUE_BYTES + 1))


ANY_HEADER = st.tuples(
    st.sampled_from(["ce_id", "ce_type", "ce_source", "ce_time", "ce_hops", "content-type", "x"]),
    st.binary(max_size=20)
    | st.sampled_from(
        [
            *(b"label.arrived", b"0", b"9" * 30, b"", b"2013-01-01T00:00:00z"),
            *(b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b"\xff"),
            *(b"application/cloudevents+json", b"Application/CloudEvents+JSON; charset=x"),
        ]
    ),
)
ANY_BODY = (
    st.none()
    | st.binary(max_size=40)
    | st.just(b"[" * 100_000)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
)


@given(
    st.lists(ANY_HEADER, max_size=7),
    st.none() | st.binary(max_size=10),
    ANY_BODY,
    st.integers(-(2**63), 2**63 - 1) | st.just(1_767_225_600_000_000),
)
def test_fault_6_2_whatever_comes_is_an_event_or_poison(
    headers: list[tuple[str, bytes]], key: bytes | None, value: bytes | None, timestamp: int
) -> None:
    message = Message("label.arrived", 0, 7, key, value, tuple(headers), timestamp)
    try:
        event = decode(message)
    except PoisonMessageError:
        return
    assert encode(event).topic == event.body.topic(), "and what it is can go on"


def test_fault_6_2_a_timestamp_in_microseconds_is_named_with_its_remedy() -> None:
    record = encode(EVENT)
    headers = tuple(h for h in record.headers if h[0] != "ce_time")
    message = arrived(record, headers=headers, timestamp_ms=1_767_225_600_000_000)
    with pytest.raises(UndecodableError, match=r"timestamp 1767225600000000.*milliseconds"):
        decode(message)


@pytest.mark.parametrize("name", ["ce_time", "ce_hops", "ce_causationid", "content-type"])
def test_fault_6_15_a_header_without_a_value_is_as_good_as_none(name: str) -> None:
    record = encode(EVENT)
    rest = tuple(h for h in record.headers if h[0] != name)
    assert decode(arrived(record, headers=(*rest, (name, b"")))) == decode(
        arrived(record, headers=rest)
    )


def test_fault_6_15_lower_case_times_and_a_byte_order_mark_are_read() -> None:
    record = encode(EVENT)
    headers = tuple(
        (name, value.lower() if name == "ce_time" else value) for name, value in record.headers
    )
    again = decode(arrived(record, headers=headers, value=b"\xef\xbb\xbf" + (record.value or b"")))
    assert (again.time, again.body) == (EVENT.time, EVENT.body)


def test_fault_6_15_media_types_have_no_case() -> None:
    document = {
        "specversion": "1.0",
        "id": "e1",
        "type": "label.arrived",
        "source": "/x",
        "data": json.loads(BODY.model_dump_json()),
    }
    value = b"\xef\xbb\xbf" + json.dumps(document).encode()
    headers = (("content-type", b"Application/CloudEvents+JSON"),)
    assert decode(Message("label.arrived", 0, 7, b"p1", value, headers)).body == BODY
