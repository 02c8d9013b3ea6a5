"""The examples that are kept: each is complete, and each is still read."""

import json

import pytest
from jsonschema import Draft202012Validator

from event_schemas import BY_TYPE, EVENTS, EventBody

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)


@pytest.fixture
def example(event: type[EventBody], examples):
    return examples[f"{event.type}.v{event.schema_version}"]


def rewritten(document, schema, root, rewrite):
    """The document with each object that has named fields rewritten; maps are left alone."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema and document is not None:
        schema = next((part for part in schema["anyOf"] if "$ref" in part), {})
        return rewritten(document, schema, root, rewrite)
    if schema.get("type") == "array":
        return [rewritten(part, schema["items"], root, rewrite) for part in document]
    if "properties" not in schema or document is None:
        return document
    fields = {
        name: rewritten(part, schema["properties"][name], root, rewrite)
        for name, part in document.items()
    }
    return rewrite(fields, schema)


@every_event
def test_the_example_is_complete_and_comes_back_the_same(event, example):
    assert json.loads(event.model_validate_json(json.dumps(example)).model_dump_json()) == example


@every_event
def test_the_example_keeps_to_the_contract(event, example, contracts):
    Draft202012Validator(contracts[event.type]).validate(example)


def test_every_example_of_every_version_is_still_read(examples):
    for name, document in examples.items():
        type_name, _, version = name.rpartition(".v")
        event = BY_TYPE[type_name]
        assert int(version) <= event.schema_version, name
        event.model_validate_json(json.dumps(document))


@every_event
def test_a_field_that_a_newer_writer_added_is_ignored_wherever_it_stands(event, example, contracts):
    schema = contracts[event.type]
    newer = rewritten(example, schema, schema, lambda fields, _: fields | {"novel": 1})

    body = event.model_validate_json(json.dumps(newer))

    assert newer["novel"] == 1
    assert json.loads(body.model_dump_json()) == example


@every_event
def test_a_body_with_nothing_but_its_required_fields_is_read(event, example, contracts):
    schema = contracts[event.type]
    oldest = rewritten(
        example,
        schema,
        schema,
        lambda fields, part: {name: fields[name] for name in part.get("required", ())},
    )

    body = event.model_validate_json(json.dumps(oldest))

    assert json.loads(body.model_dump_json(exclude_unset=True)) == oldest
