"""The generated files are fresh, valid, and agree with the examples."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from event_schemas import EVENTS
from event_schemas.catalog import ROUTES
from event_schemas.generate.compatibility import breaking_changes
from event_schemas.generate.files import generated, stale, write

every_event = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)


@pytest.fixture(scope="module")
def files(root) -> dict[str, str]:
    return generated(root)


@pytest.fixture(scope="module")
def document(files) -> dict[str, Any]:
    return json.loads(files["schemas/asyncapi.json"])


@pytest.fixture
def copy_of_examples(root, tmp_path):
    folder = tmp_path / "schemas/examples"
    folder.mkdir(parents=True)
    for file in (root / "schemas/examples").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return tmp_path


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from references(part)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for part in node.values():
            yield from references(part)


def at(document: Any, reference: str) -> Any:
    assert reference.startswith("#/"), f"{reference} lies outside the document"
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def test_every_generated_file_is_fresh(root):
    assert stale(root) == [], "run: make generate"


def test_what_is_written_is_fresh_and_a_changed_file_is_named(copy_of_examples):
    written = write(copy_of_examples)
    (copy_of_examples / "docs/events.md").write_text("by hand")
    (copy_of_examples / "schemas/json/label.arrived.v1.json").unlink()

    assert len(written) == len(EVENTS) + 4
    assert stale(copy_of_examples) == ["schemas/json/label.arrived.v1.json", "docs/events.md"]
    assert write(copy_of_examples) == ["schemas/json/label.arrived.v1.json", "docs/events.md"]
    assert stale(copy_of_examples) == []


def test_an_event_without_an_example_is_named(copy_of_examples):
    (copy_of_examples / "schemas/examples/label.arrived.v1.json").unlink()

    with pytest.raises(FileNotFoundError, match=r"schemas/examples/label\.arrived\.v1\.json"):
        generated(copy_of_examples)


def test_every_contract_that_is_kept_has_an_example_and_is_not_broken_by_the_present_one(
    root, examples, files
):
    present = {event.type: event.schema_version for event in EVENTS}
    for path in (root / "schemas/json").glob("*.json"):
        assert path.stem in examples, path.name
        kept = json.loads(path.read_text("utf-8"))
        name = kept["x-kafka-topic"]
        new = json.loads(files[f"schemas/json/{name}.v{present[name]}.json"])
        assert breaking_changes(kept, new) == [], path.name


@every_event
def test_a_contract_is_valid_json_schema_and_names_itself(event, files):
    contract = json.loads(files[f"schemas/json/{event.type}.v{event.schema_version}.json"])

    Draft202012Validator.check_schema(contract)
    assert contract["$id"] == f"urn:tailrace:event:{event.type}:v{event.schema_version}"
    assert contract["x-kafka-key"] in contract["required"]
    assert contract["description"]


@every_event
def test_a_contract_refuses_what_the_model_refuses(event, files, examples):
    name = f"{event.type}.v{event.schema_version}"
    contract = Draft202012Validator(json.loads(files[f"schemas/json/{name}.json"]))

    assert contract.is_valid(examples[name])
    assert not contract.is_valid(examples[name] | {event.key_field: 7})
    assert not contract.is_valid({})


def test_every_reference_of_the_asyncapi_document_leads_somewhere_inside_it(document):
    found = set(references(document))

    assert found
    for reference in found:
        assert at(document, reference) is not None, reference


@every_event
def test_the_asyncapi_document_has_a_channel_and_a_valid_message(event, document, examples):
    channel = document["channels"][event.type]
    message = at(document, channel["messages"][event.__name__]["$ref"])
    headers = message["examples"][0]["headers"]
    cleanup = channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]

    assert channel["address"] == event.topic()
    assert cleanup == (["compact"] if event.compacted else ["delete"])
    # The parts are looked up from the root, so the document stands around the payload.
    Draft202012Validator({**document, **message["payload"]}).validate(
        examples[f"{event.type}.v{event.schema_version}"]
    )
    for schema in (message["headers"], at(document, message["traits"][0]["$ref"])["headers"]):
        Draft202012Validator(schema).validate(headers)
    assert not Draft202012Validator(message["headers"]).is_valid(headers | {"ce_type": "other"})


def test_the_asyncapi_operations_are_the_routes(document):
    operations = document["operations"]
    expected = {
        f"{service}.{action}.{name}"
        for name, route in ROUTES.items()
        for action, services in (("send", route.senders), ("receive", route.receivers))
        for service in services
    }

    assert set(operations) == expected
    for name, operation in operations.items():
        event = name.split(".", 2)[2]
        assert operation["channel"]["$ref"] == f"#/channels/{event}"
        assert operation["action"] == name.split(".")[1]


def test_a_description_beside_a_reference_survives_in_the_asyncapi_document(document):
    version = document["components"]["schemas"]["ModelTrained"]["properties"]["version"]

    assert version["allOf"] == [{"$ref": "#/components/schemas/ModelVersion"}]
    assert version["description"]


@every_event
def test_the_page_for_people_tells_every_field_of_every_event(event, files):
    page = files["docs/events.md"]
    section = page.split(f"\n## {event.type}\n")[1].split("\n## ")[0]

    for name, field in event.model_fields.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.count(" | ") == 3, row
        assert ("*required*" in row) == field.is_required(), row


def test_every_link_of_the_page_leads_to_a_heading(files):
    page = files["docs/events.md"]
    headings = {
        line.lstrip("# ").lower().replace(".", "").replace(" ", "-")
        for line in page.splitlines()
        if line.startswith("#")
    }
    links = {part.partition(")")[0] for part in page.split("](#")[1:]}

    assert links <= headings
    assert page.splitlines()[2].startswith("This page is generated")
    assert "make generate" in page.splitlines()[2]
