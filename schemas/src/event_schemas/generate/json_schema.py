"""One JSON Schema an event: what its body may hold, for readers in any language."""

from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from event_schemas.base import Duration, EventBody


class _Contract(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # "Table Version" says no more than `table_version`

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):  # pydantic forgets the type's own serializer here
            return TypeAdapter(Duration).dump_python(dft, mode="json")
        return super().encode_default(dft)


def json_schema(event: type[EventBody]) -> dict[str, Any]:
    """Return the contract of one event, in JSON Schema 2020-12; `ce_dataschema` names its `$id`."""
    schema = event.model_json_schema(schema_generator=_Contract)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": event.data_schema(),
        "title": schema.pop("title"),
        "description": schema.pop("description"),
        "x-kafka-topic": event.topic(),
        "x-kafka-key": event.key_field,
        "x-kafka-compacted": event.compacted,
        **schema,
    }


def shared_schemas(events: tuple[type[EventBody], ...], ref_template: str) -> dict[str, Any]:
    """Return the bodies of all events and their parts, by class name, each once."""
    _, document = models_json_schema(
        [(event, "validation") for event in events],
        ref_template=ref_template,
        schema_generator=_Contract,
    )
    return dict(sorted(document["$defs"].items()))
