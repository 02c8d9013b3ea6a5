"""What a feature's default is read as."""

import pytest

from event_schemas.policy import Feature


@pytest.mark.parametrize(
    ("kind", "given", "read"),
    [
        ("category", True, "true"),
        ("category", 7, "7"),
        ("category", "UA", "UA"),
        ("category", None, None),
        ("number", 7, 7.0),
        ("number", None, None),
    ],
)
def test_a_default_is_what_a_column_of_its_kind_holds(
    kind: str, given: object, read: object
) -> None:
    fields = {"name": "x", "kind": kind, "source": "request", "default": given}
    assert Feature.model_validate(fields).default == read
