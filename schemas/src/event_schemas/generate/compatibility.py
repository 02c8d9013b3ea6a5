"""What a change of a contract breaks, read from its two JSON Schemas.

`breaking_changes` asks for readers of the new contract: can they read every event that the old one
allowed? `readers_first` asks for readers of the old one, who meet new events during an upgrade.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_KEEP = "keep accepting what was accepted, or make a new event type"
_MUST_STAY = ("pattern", "format", "multipleOf", "uniqueItems", "prefixItems")
_LENGTHS = ("Length", "Items", "Properties")


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Return each change that no release may make: where, what, and the remedy."""
    return list(_Comparison(old, new, members=True).node("", old, new))


def readers_first(old: Schema, new: Schema) -> list[str]:
    """Return each value that new events may hold and old readers refuse."""
    return [
        change.removesuffix(f": {_KEEP}") for change in _Comparison(new, old).node("", new, old)
    ]


class _Comparison:
    """Walks two schemas side by side, and yields what `wide` allows and `narrow` does not.

    A part that is used in two places is reported in both. Bodies are trees: no part holds itself.
    """

    def __init__(self, wide: Schema, narrow: Schema, *, members: bool = False) -> None:
        self._roots = (wide, narrow)
        self._members = members

    def node(self, path: str, wide: Any, narrow: Any) -> Iterator[str]:
        choices = list(_choices(narrow, self._roots[1]))
        for kind, accepted in _choices(wide, self._roots[0]):
            near = [part for other, part in choices if _holds(other, kind)]
            if not near:
                yield _change(path, f"{kind} is not accepted", _KEEP)
                continue
            yield from min((list(self._choice(path, accepted, part)) for part in near), key=len)

    def _choice(self, path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
        yield from _values(path, wide, narrow)
        yield from _limits(path, wide, narrow)
        for keyword in _MUST_STAY:
            if keyword in narrow and narrow[keyword] != wide.get(keyword):
                was, now = wide.get(keyword, "anything"), narrow[keyword]
                yield _change(path, f"{keyword} is {now!r}, not {was!r}", _KEEP)
        yield from self._object(path, wide, narrow)
        for keyword, step in (("items", "[]"), ("additionalProperties", "{}")):
            if keyword in narrow:
                yield from self.node(path + step, wide.get(keyword, True), narrow[keyword])

    def _object(self, path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
        had, has = wide.get("properties", {}), narrow.get("properties", {})
        for name in had:
            at = f"{path}.{name}".lstrip(".")
            if name in has:
                yield from self.node(at, had[name], has[name])
            elif self._members:
                yield _change(at, "was removed", "keep it, or make a new event type")
        if self._members:
            for name in narrow.get("required", ()):
                if name not in wide.get("required", ()):
                    at = f"{path}.{name}".lstrip(".")
                    yield _change(at, "is required now", "give it a default")


def _change(path: str, what: str, remedy: str) -> str:
    return f"{path or 'body'}: {what}: {remedy}"


def _ref(node: Any) -> str | None:
    return node.get("$ref") if isinstance(node, dict) else None


def _choices(node: Any, root: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the alternatives of a schema, each with the one type that it accepts."""
    while (reference := _ref(node)) is not None:
        target: Any = root
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        node = target
    if node is False:
        return
    if node is True:
        node = {}
    if "anyOf" in node:
        for part in node["anyOf"]:
            yield from _choices(part, root)
        return
    kinds = node.get("type", "any value")
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield kind, node


def _holds(accepting: str, kind: str) -> bool:
    return accepting in (kind, "any value") or (accepting, kind) == ("number", "integer")


def _allowed(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _values(path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
    had, has = _allowed(wide), _allowed(narrow)
    if has is None:
        return
    if had is None:
        yield _change(path, f"only {has} are accepted", _KEEP)
        return
    for value in had:
        if value not in has:
            yield _change(path, f"the value {value!r} is not accepted", _KEEP)


def _limits(path: str, wide: Schema, narrow: Schema) -> Iterator[str]:
    for name, sign in (("minimum", 1), ("maximum", -1)):
        before, after = _bound(wide, name, sign), _bound(narrow, name, sign)
        if after is not None and (before is None or after > before):
            yield _change(path, f"{name} is tighter: {_said(narrow, name)}", _KEEP)
    for what in _LENGTHS:
        for side, sign in (("min", 1), ("max", -1)):
            name = side + what
            if name not in narrow:
                continue
            if name not in wide or sign * narrow[name] > sign * wide[name]:
                yield _change(path, f"{name} is tighter: {narrow[name]}", _KEEP)


def _bound(schema: Schema, name: str, sign: int) -> tuple[float, bool] | None:
    """Return a limit, so that a tighter one is greater: its value, and whether it is open."""
    exclusive = "exclusive" + name.capitalize()
    bounds = [(sign * schema[key], key == exclusive) for key in (name, exclusive) if key in schema]
    return max(bounds, default=None)


def _said(schema: Schema, name: str) -> str:
    exclusive = "exclusive" + name.capitalize()
    return ", ".join(f"{key} {schema[key]}" for key in (name, exclusive) if key in schema)
