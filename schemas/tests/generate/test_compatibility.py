"""Which changes of a contract are breaking, and which only ask for an order of upgrades."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import EVENTS
from event_schemas.generate.compatibility import breaking_changes, readers_first
from event_schemas.generate.json_schema import json_schema

NUMBER, TEXT, NULL = {"type": "number"}, {"type": "string"}, {"type": "null"}


def body(field, required=True):
    return {
        "type": "object",
        "properties": {"field": field},
        "required": ["field"] if required else [],
    }


BREAKING = {
    "a type narrowed": (NUMBER, {"type": "integer"}, "field: number is not accepted"),
    "a type changed": (TEXT, NUMBER, "field: string is not accepted"),
    "null dropped": ({"anyOf": [TEXT, NULL]}, TEXT, "field: null is not accepted"),
    "null dropped from a list of types": (
        {"type": ["string", "null"]},
        TEXT,
        "field: null is not accepted",
    ),
    "anything became text": ({}, TEXT, "field: any value is not accepted"),
    "an enum value removed": (
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string", "enum": ["a"]},
        "field: the value 'b' is not accepted",
    ),
    "an enum became a constant": (
        {"type": "string", "enum": ["a", "b"]},
        {"type": "string", "const": "a"},
        "field: the value 'b' is not accepted",
    ),
    "text became an enum": (
        TEXT,
        {"type": "string", "enum": ["a"]},
        "field: only ['a'] are accepted",
    ),
    "a minimum added": (NUMBER, NUMBER | {"minimum": 0}, "field: minimum is tighter: minimum 0"),
    "a minimum raised": (
        NUMBER | {"minimum": 0},
        NUMBER | {"minimum": 1},
        "field: minimum is tighter: minimum 1",
    ),
    "a minimum made open": (
        NUMBER | {"minimum": 0},
        NUMBER | {"exclusiveMinimum": 0},
        "field: minimum is tighter: exclusiveMinimum 0",
    ),
    "a maximum lowered": (
        NUMBER | {"maximum": 2},
        NUMBER | {"maximum": 1},
        "field: maximum is tighter: maximum 1",
    ),
    "a text made shorter": (
        TEXT | {"maxLength": 9},
        TEXT | {"maxLength": 8},
        "field: maxLength is tighter: 8",
    ),
    "an empty text refused": (TEXT, TEXT | {"minLength": 1}, "field: minLength is tighter: 1"),
    "a pattern added": (
        TEXT,
        TEXT | {"pattern": "^a$"},
        "field: pattern is '^a$', not 'anything'",
    ),
    "a format added": (
        TEXT,
        TEXT | {"format": "date-time"},
        "field: format is 'date-time', not 'anything'",
    ),
    "a list's items narrowed": (
        {"type": "array", "items": NUMBER},
        {"type": "array", "items": {"type": "integer"}},
        "field[]: number is not accepted",
    ),
    "a map's values narrowed": (
        {"type": "object", "additionalProperties": {"anyOf": [NUMBER, NULL]}},
        {"type": "object", "additionalProperties": NUMBER},
        "field{}: null is not accepted",
    ),
    "a part's field removed": (
        body(TEXT),
        body(TEXT) | {"properties": {}},
        "field.field: was removed",
    ),
    "a part's field required": (
        body(TEXT, required=False),
        body(TEXT),
        "field.field: is required now",
    ),
}


@pytest.mark.parametrize(("old", "new", "said"), BREAKING.values(), ids=BREAKING)
def test_a_narrower_contract_breaks_readers_of_what_was_written(old, new, said):
    changes = breaking_changes(body(old), body(new))

    assert [change.rpartition(": ")[0] for change in changes][:1] == [said]
    assert all(change.rpartition(": ")[2] for change in changes)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [case for case in BREAKING.values() if "not accepted" in case[2] or "tighter" in case[2]],
)
def test_a_wider_contract_asks_to_upgrade_the_readers_first(old, new, said):
    assert readers_first(body(new), body(old)) == [said]


@pytest.mark.parametrize("name", sorted(set(BREAKING) - {"a type changed"}))
def test_the_same_change_the_other_way_round_breaks_nobody_who_reads_the_new(name):
    old, new, _ = BREAKING[name]

    assert breaking_changes(body(new), body(old)) == []


def test_a_removed_field_and_a_newly_required_one_are_told_with_a_remedy():
    old = body(TEXT)
    new = {"type": "object", "properties": {"other": TEXT}, "required": ["other"]}

    assert breaking_changes(old, new) == [
        "field: was removed: keep it, or make a new event type",
        "other: is required now: give it a default",
    ]


def test_a_part_that_changes_is_told_wherever_it_is_used():
    part = {"$ref": "#/$defs/Part"}

    def contract(kind):
        return {
            "type": "object",
            "properties": {"a": part, "b": {"anyOf": [part, NULL]}},
            "$defs": {"Part": {"type": "object", "properties": {"x": {"type": kind}}}},
        }

    changes = breaking_changes(contract("number"), contract("integer"))

    assert [change.partition(":")[0] for change in changes] == ["a.x", "b.x"]


def test_a_part_may_be_renamed_or_written_out_in_place():
    old = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/Old"}},
        "$defs": {"Old": body(TEXT)},
    }
    new = {"type": "object", "properties": {"a": body(TEXT)}}

    assert breaking_changes(old, new) == []
    assert breaking_changes(new, old) == []


def objects(schema):
    """Every object with named fields in a contract, at its own place."""
    return [schema, *(part for part in schema.get("$defs", {}).values() if "properties" in part)]


CONTRACTS = {event.type: json_schema(event) for event in EVENTS}
contracts = st.sampled_from(sorted(CONTRACTS)).map(lambda name: copy.deepcopy(CONTRACTS[name]))
quick = settings(max_examples=40, deadline=None, database=None)


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_is_compatible_with_itself(name):
    assert breaking_changes(CONTRACTS[name], CONTRACTS[name]) == []
    assert readers_first(CONTRACTS[name], CONTRACTS[name]) == []


@quick
@given(contracts, st.data())
def test_an_optional_field_may_be_added_anywhere(old, data):
    new = copy.deepcopy(old)
    data.draw(st.sampled_from(objects(new)))["properties"]["novel"] = NUMBER | {"default": 0}

    assert breaking_changes(old, new) == []
    assert readers_first(old, new) == []


@quick
@given(contracts, st.data())
def test_a_required_field_may_be_added_nowhere(old, data):
    new = copy.deepcopy(old)
    part = data.draw(st.sampled_from(objects(new)))
    part["properties"]["novel"] = NUMBER
    part.setdefault("required", []).append("novel")

    changes = breaking_changes(old, new)

    assert changes
    assert all(change.endswith("novel: is required now: give it a default") for change in changes)


@quick
@given(contracts, st.data())
def test_a_field_may_be_removed_nowhere(old, data):
    new = copy.deepcopy(old)
    part = data.draw(st.sampled_from(objects(new)))
    name = data.draw(st.sampled_from(sorted(part["properties"])))
    del part["properties"][name]
    part["required"] = [field for field in part.get("required", ()) if field != name]

    changes = breaking_changes(old, new)

    assert changes
    assert all(f"{name}: was removed: " in change for change in changes)
