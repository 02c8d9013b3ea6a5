"""Compares the contracts of a release, as git keeps them, with the present ones."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from event_schemas.generate.compatibility import Schema, breaking_changes, readers_first

_WORDS_FOR_PEOPLE = ("title", "description", "$id", "$comment", "examples")


class Findings(NamedTuple):
    """What a comparison found: a refusal fails the build, a notice does not."""

    refusals: list[str]
    notices: list[str]


def last_release(root: Path) -> str | None:
    """Return the newest tag `v*` that the present commit descends from, if there is one."""
    tags = _git(root, "tag", "--list", "v*", "--merged", "HEAD", "--sort=-v:refname")
    return next(iter(tags.splitlines()), None)


def contracts_at(root: Path, revision: str, folder: str) -> dict[str, Schema]:
    """Return the newest contract of each event in a revision, by event type.

    Raises:
        ValueError: git does not know the revision.
    """
    try:
        listed = _git(root, "ls-tree", "-r", "--name-only", revision, "--", folder)
    except subprocess.CalledProcessError as error:
        raise ValueError(f"git knows no {revision!r}: {error.stderr.strip()}") from error
    names = [name for name in listed.splitlines() if name.endswith(".json")]
    schemas = (json.loads(_git(root, "show", f"{revision}:{name}")) for name in names)
    return {schema["x-kafka-topic"]: schema for schema in sorted(schemas, key=version)}


def version(contract: Schema) -> int:
    """Return the schema version that a contract's `$id` ends with."""
    return int(contract["$id"].rpartition(":v")[2])


def compare(released: dict[str, Schema], present: dict[str, Schema]) -> Findings:
    """Return what has changed between two sets of contracts, by event type."""
    refusals: list[str] = []
    notices: list[str] = []
    for name, old in sorted(released.items()):
        new = present.get(name)
        if new is None:
            refusals.append(f"{name}: the event is gone: keep its model until no topic holds it")
            continue
        refusals += (f"{name}: {change}" for change in _refused(old, new))
        notices += (
            f"{name}: for readers of version {version(old)}: {change}:"
            " upgrade the readers before the writers"
            for change in readers_first(old, new)
        )
    return Findings(refusals, notices)


def _refused(old: Schema, new: Schema) -> Iterator[str]:
    yield from breaking_changes(old, new)
    for what in ("x-kafka-key", "x-kafka-compacted"):
        if old[what] != new[what]:
            yield f"{what} was {old[what]} and is {new[what]}: make a new event type"
    if _bare(old) != _bare(new) and version(new) <= version(old):
        yield (
            f"the body has changed since version {version(old)}:"
            f" set schema_version to {version(old) + 1} and add its example"
        )


def _bare(node: Any) -> Any:
    """Return a schema without what only people read; a property may be called `title`."""
    if isinstance(node, list):
        return [_bare(part) for part in node]
    if not isinstance(node, dict):
        return node
    return {
        name: {field: _bare(part) for field, part in value.items()}
        if name in ("properties", "$defs")
        else _bare(value)
        for name, value in node.items()
        if name not in _WORDS_FOR_PEOPLE
    }


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-C", str(root), *arguments), check=True, capture_output=True, text=True
    ).stdout
