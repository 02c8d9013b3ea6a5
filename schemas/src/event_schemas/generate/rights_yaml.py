"""The chart's `rights.yaml`: what Strimzi's user operator is told."""

from event_schemas.rights import Right, rights_of, users

_TOP = """\
# Generated from schemas/src/event_schemas/rights.py by `make generate`: change that, not this file.
"""


def rights_yaml() -> str:
    """The text, for every user."""
    return _TOP + "".join(f"{user}:\n" + "".join(map(_right, rights_of(user))) for user in users())


def _right(right: Right) -> str:
    name = right.name or '"*"'
    pattern = "prefix" if right.prefix and right.name else "literal"
    resource = f"{{type: {right.type}, name: {name}, patternType: {pattern}}}"
    return f"  - resource: {resource}\n    operations: [{', '.join(right.operations)}]\n"
