"""What holds for every event, and for every body that its contract allows."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from event_schemas import BY_TYPE, EVENTS, EventBody, ScoreRequested
from event_schemas.catalog import OUTSIDE, ROUTES, SERVICES

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)


@every_event
@settings(
    max_examples=5,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_what_the_contract_allows_is_read_and_written_back_the_same(
    event, documents, contracts, data
):
    document = data.draw(documents[event.type])

    body = event.model_validate_json(json.dumps(document))
    written = body.model_dump_json()

    assert event.model_validate_json(written).model_dump_json() == written
    assert event.model_validate(body.model_dump()).model_dump_json() == written
    Draft202012Validator(contracts[event.type]).validate(json.loads(written))


@every_event
def test_a_body_is_frozen(event, examples):
    body = event.model_validate(examples[f"{event.type}.v{event.schema_version}"])

    with pytest.raises(ValidationError, match="frozen"):
        setattr(body, event.key_field, "other")


@every_event
def test_the_key_is_a_required_field(event, examples):
    assert event.model_fields[event.key_field].is_required()
    example = examples[f"{event.type}.v{event.schema_version}"]
    assert event.model_validate(example).key == example[event.key_field]


@every_event
def test_the_topic_is_a_name_that_kafka_takes(event):
    # https://kafka.apache.org/documentation: letters, digits, `.`, `_`, `-`; at most 249.
    assert re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", event.topic())


def test_no_two_topics_collide_in_kafkas_metrics():
    # Kafka folds `.` into `_` there, and warns about names that differ in nothing else.
    assert len({event.topic().replace(".", "_") for event in EVENTS}) == len(EVENTS)


def test_every_event_class_is_listed_once():
    defined = set(EventBody.__subclasses__())

    assert defined == set(EVENTS)
    assert len(BY_TYPE) == len(EVENTS) == len(defined)


def test_every_field_says_what_it_means():
    def parts(base):
        for part in base.__subclasses__():
            yield part
            yield from parts(part)

    silent = [
        f"{part.__name__}.{name}"
        for part in parts(BaseModel)
        if part.__module__.startswith("event_schemas.")
        for name, field in part.model_fields.items()
        if not field.description
    ]
    assert silent == []


def test_every_event_has_a_sender_that_exists():
    assert set(ROUTES) == set(BY_TYPE)
    for name, route in ROUTES.items():
        assert route.senders, name
        assert {*route.senders, *route.receivers} <= {*SERVICES, OUTSIDE}, name
        assert OUTSIDE not in route.receivers, name


def test_every_service_takes_part():
    ends = {service for route in ROUTES.values() for service in route.senders + route.receivers}

    assert set(SERVICES) <= ends


def test_fault_6_3_a_request_keeps_whole_numbers_exact() -> None:
    features = {"customer": 2**63 - 1, "flag": True, "share": 0.5, "name": "x", "none": None}
    asked = ScoreRequested(
        prediction_id="p",
        model="m",
        entity="e",
        features=features,
        event_time=datetime(2013, 1, 1, tzinfo=UTC),
    )
    read = ScoreRequested.model_validate_json(asked.model_dump_json())
    assert read.features == features
    assert [type(value) for value in read.features.values()] == [int, bool, float, str, type(None)]
