"""What a model sees: the caller's values checked, stored values added, gaps filled."""

import math
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from predictor.domain.errors import BadRequestError, CannotAnswerError, LoadError, shown
from stores.values import EXACT, FLOAT32_MAX, NoSuchValueError, category, number

Value = float | int | str | None
"""A number, a category, or missing; whole numbers that find stored rows are integers, exact."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model."""

    name: str
    kind: Literal["number", "category"]
    stored: bool = False
    """Whether the feature store holds it; otherwise the caller sends it."""
    view: str = ""
    field: str = ""
    join_key: str = ""
    """The request feature whose value finds the stored row."""
    required: bool = True
    default: Value = None
    max_age_seconds: float | None = None
    last_known_seconds: float | None = None
    """Up to which age the last known value stands in for a missing one; None: none does."""


def trial_rows(inputs: Sequence[Input]) -> list[list[Value]]:
    """Rows to try a model on when it is opened; it has to answer one of them.

    In the first, every input has a value, as when a caller sends all; in the second, those that may
    be missing have their default, or none. A model that takes no missing value answers the first.
    """
    given: list[Value] = [
        each.default if each.default is not None else 0.0 if each.kind == "number" else ""
        for each in inputs
    ]
    missing = [
        value if each.required else each.default for each, value in zip(inputs, given, strict=True)
    ]
    return [given, missing]


def require_an_answer(failures: Sequence[str | None]) -> None:
    """Refuse a model that answered no trial row.

    Args:
        failures: why each row had no score; None: it had one.

    Raises:
        LoadError: all had none.
    """
    if all(failure is not None for failure in failures):
        raise LoadError("signature", f"no trial row is answered: {failures[0]}")


Cell = tuple[Any, float]
"""A stored value, and its event time in seconds since 1970: a plain pair, since there is one for
every stored feature of every request."""
Ref = tuple[str, str]
"""View and field of a stored value."""
Stored = Mapping[tuple[str, Value], Mapping[Ref, Cell]]
"""What the store gave: cells by join key and its value; a row that it lacks is absent."""


Key = tuple[str, Value, str, str]
"""Names a stored value: join key, its value, view and field."""


class LastKnown:
    """The last known values of inputs that may have them when the store has none.

    It keeps so many; those that were not asked for the longest are dropped.
    """

    __slots__ = ("_cells", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._cells: OrderedDict[Key, tuple[float | str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._cells)

    def keep(self, key: Key, value: float | str, written_at: float) -> None:
        """Remember a value, unless a newer one is known."""
        before = self._cells.get(key)
        if before is None or written_at >= before[1]:
            self._cells[key] = value, written_at
        self._cells.move_to_end(key)
        if len(self._cells) > self._most:
            self._cells.popitem(last=False)

    def of(self, key: Key, oldest: float) -> float | str | None:
        """The value that is known, unless it was written before `oldest`."""
        known = self._cells.get(key)
        if known is None or known[1] < oldest:
            return None
        self._cells.move_to_end(key)
        return known[0]


class Gap(NamedTuple):
    """A stored value that the model did not get, and why."""

    feature: str
    reason: Literal["absent", "stale", "wrong_type", "store_away"]
    instead: Literal["error", "default", "last_known"] = "default"
    """What the request got for it."""


class Signature:
    """The inputs of one version, in the model's order.

    Raises:
        LoadError: an input contradicts itself or another.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self.inputs = tuple(inputs)
        self.names = tuple(each.name for each in inputs)
        self.keys = frozenset(each.join_key for each in inputs if each.stored)
        """Request features whose values find stored rows."""
        self._requested = tuple(
            (i, each, each.kind == "number" and each.name in self.keys)
            for i, each in enumerate(inputs)
            if not each.stored
        )
        self._stored = tuple((i, each) for i, each in enumerate(inputs) if each.stored)
        self.requested = frozenset(each.name for _, each, _ in self._requested)
        self._position = {name: i for i, name in enumerate(self.names)}
        self._check()
        by_key: dict[str, list[tuple[int, Input, Ref, float]]] = {}
        for i, each in self._stored:
            wanted = i, each, (each.view, each.field), _plain_seconds(each)
            by_key.setdefault(each.join_key, []).append(wanted)
        self._by_key = tuple(by_key.items())
        lookups = {key: [ref for _, _, ref, _ in found] for key, found in by_key.items()}
        self.lookups = {key: tuple(dict.fromkeys(refs)) for key, refs in lookups.items()}
        """What to read from the store, by the request feature that finds it."""
        self.remembers = any(each.last_known_seconds is not None for _, each in self._stored)
        """Whether an input may have its last known value."""

    def _check(self) -> None:
        if not self.inputs:
            raise LoadError("signature", "the version has no features")
        if len(self._position) != len(self.inputs):
            raise LoadError("signature", f"a feature occurs twice: {', '.join(self.names)}")
        for _, each in self._stored:
            if not each.view or each.join_key not in self.requested:
                raise LoadError(
                    "signature",
                    f"stored feature {each.name!r} needs a view (has {each.view!r}) and, as"
                    f" join_key, a request feature (has {each.join_key!r}; there are"
                    f" {', '.join(sorted(self.requested)) or 'none'})",
                )
        for each in self.inputs:
            wanted = str if each.kind == "category" else (int, float)
            if each.default is not None and not isinstance(each.default, wanted):
                raise LoadError(
                    "signature",
                    f"default {each.default!r} of feature {each.name!r} is no {each.kind}",
                )

    def request_values(
        self, features: Mapping[str, Any], also_known: Collection[str] = ()
    ) -> list[Value]:
        """The row of the model as far as the caller fills it; stored inputs are None.

        Args:
            features: what the caller sent, as JSON gave it.
            also_known: features of the model's other versions: they may be sent, and are ignored.

        Raises:
            BadRequestError: a required feature is missing, a name is unknown, or a value is of a
                wrong type.
        """
        row: list[Value] = [None] * len(self.inputs)
        found = 0
        for i, each, is_key in self._requested:
            value = features.get(each.name)
            if value is None:
                found += each.name in features
                if each.required:
                    raise BadRequestError(
                        "missing_feature",
                        f"feature {each.name!r} ({each.kind}) is required: send it",
                        f"features.{each.name}",
                    )
                row[i] = each.default
                continue
            found += 1
            if each.kind == "category":
                row[i] = _text(each.name, value)
            elif is_key:
                row[i] = _numeric_key(each.name, value)
            elif type(value) is float and -FLOAT32_MAX <= value <= FLOAT32_MAX:
                row[i] = value  # nearly all: the call would cost more than the look
            else:
                row[i] = _number(each.name, value)
        if found != len(features):
            self._refuse_unknown(features, also_known)
        return row

    def _refuse_unknown(self, features: Mapping[str, Any], also_known: Collection[str]) -> None:
        for name in features:
            if name in self.requested or name in also_known:
                continue
            if name in self._position:
                text = f"feature {name!r} comes from the feature store: do not send it"
            else:
                known = ", ".join(sorted({*self.requested, *also_known}))
                text = f"feature {shown(name)} is unknown; known are {known}"
            raise BadRequestError("unknown_feature", text, f"features.{name[:128]}")

    def key(self, row: Sequence[Value], join_key: str) -> Value:
        """The value in a row that finds the stored row."""
        return row[self._position[join_key]]

    def fill(
        self,
        row: list[Value],
        stored: Stored | None,
        event_time: float,
        gaps: list[Gap],
        last_known: LastKnown | None = None,
    ) -> None:
        """Put the stored values into a row.

        A value that is absent, too old at `event_time` (seconds since 1970) or of a wrong type
        counts as missing: the last known one stands in, where the input allows one of its age, and
        else its default, unless it is required. A value younger than `event_time` is taken: the
        store keeps only the newest.

        Args:
            row: from `request_values`; changed in place.
            stored: what the store gave; None when it could not be read.
            event_time: when the prediction is asked for.
            gaps: grows by each missing value.
            last_known: remembers values of inputs that allow it; None: nobody does.

        Raises:
            CannotAnswerError: a required value is missing.
        """
        for join_key, inputs in self._by_key:
            key = row[self._position[join_key]]
            cells = None if stored is None else stored.get((join_key, key), _NO_CELLS)
            for i, each, ref, plain_seconds in inputs:
                cell = None if cells is None else cells.get(ref)
                if (
                    cell is not None
                    and event_time - cell[1] <= plain_seconds
                    and type(cell[0]) is float
                    and -FLOAT32_MAX <= cell[0] <= FLOAT32_MAX
                ):
                    row[i] = cell[0]  # nearly all: the calls would cost more than the look
                    continue
                value, why = _look_up(each, cell, event_time)
                reason = "store_away" if cells is None else why
                if last_known is not None and each.last_known_seconds is not None:
                    name = (join_key, key, *ref)
                    _remember(each, name, cell, last_known)
                    if reason is not None:
                        value = last_known.of(name, event_time - each.last_known_seconds)
                        if value is not None:
                            gaps.append(Gap(each.name, reason, "last_known"))
                            row[i] = value
                            continue
                if reason is not None:
                    gaps.append(Gap(each.name, reason, "error" if each.required else "default"))
                    if each.required:
                        raise _unavailable(each, reason, key)
                    value = each.default
                row[i] = value


_NO_CELLS: Mapping[Ref, Cell] = {}


def _plain_seconds(each: Input) -> float:
    """Up to which age a number in the model's range is taken without another look."""
    if each.kind != "number" or each.last_known_seconds is not None:
        return -math.inf
    return math.inf if each.max_age_seconds is None else each.max_age_seconds


def _look_up(
    each: Input, cell: Cell | None, event_time: float
) -> tuple[Value, Literal["absent", "stale", "wrong_type"] | None]:
    """The value of a cell, or why there is none."""
    if cell is None:
        return None, "absent"
    value, written_at = cell
    if value is None:
        return None, "absent"
    if each.max_age_seconds is not None and event_time - written_at > each.max_age_seconds:
        return None, "stale"
    return _taken(each, value)


def _taken(
    each: Input, value: Any
) -> tuple[float | str | None, Literal["absent", "wrong_type"] | None]:
    """A stored value as the model takes it, or why it cannot."""
    try:
        found = category(value) if each.kind == "category" else number(value)
    except NoSuchValueError:
        return None, "wrong_type"
    if found is None:
        return None, "absent"
    if isinstance(found, str) or abs(found) <= FLOAT32_MAX:
        return found, None
    return None, "wrong_type"


def _remember(each: Input, key: Key, cell: Cell | None, last_known: LastKnown) -> None:
    """Keep what the store has, however old it is."""
    if cell is not None and cell[0] is not None:
        value, _ = _taken(each, cell[0])
        if value is not None:
            last_known.keep(key, value, cell[1])


def _number(name: str, value: object) -> float:
    try:
        found = number(value)
    except NoSuchValueError:
        raise _wrong_type(name, "number", "number", value) from None
    if found is None or not abs(found) <= FLOAT32_MAX:
        raise BadRequestError(
            "out_of_range",
            f"feature {name!r} is {shown(value)}, beyond ±3.4e38, the range of the model's numbers",
            f"features.{name}",
        )
    return found


def _numeric_key(name: str, value: Any) -> float | int:
    """A number that finds a stored row: a whole one stays exact."""
    found = _number(name, value)
    if type(value) is float and abs(value) > EXACT:
        raise BadRequestError(
            "inexact_key",
            f"feature {name!r} finds stored rows, and {shown(value)} is a number with a fraction or"
            " an exponent, which is exact below 2^53 only: send the key as a whole number",
            f"features.{name}",
        )
    return int(value) if found.is_integer() and value == int(value) else found


def _text(name: str, value: object) -> str:
    if type(value) is str:  # nearly all
        return value
    try:
        found = category(value)
    except NoSuchValueError:
        found = None
    if found is None:
        raise _wrong_type(name, "category", "string", value)
    return found


def _wrong_type(name: str, kind: str, json: str, value: object) -> BadRequestError:
    text = f"feature {name!r} is a {kind}, got {shown(value)}: send a JSON {json}"
    return BadRequestError("wrong_type", text, f"features.{name}")


def _unavailable(each: Input, reason: str, key: Value) -> CannotAnswerError:
    if reason == "store_away":
        text = f"feature {each.name!r} is required, and the feature store cannot be read"
    else:
        text = (
            f"feature {each.name!r} is required, and {each.view}:{each.field} of"
            f" {each.join_key} {shown(key)} is {reason.replace('_', ' ')} in the feature store"
        )
    return CannotAnswerError("feature_unavailable", text, f"features.{each.name}")
