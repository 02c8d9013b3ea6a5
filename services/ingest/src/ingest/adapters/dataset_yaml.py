"""Reads contracts from `models/*/datasets/*.yaml`; an error names file, field, value and remedy.

    dataset: weather                 # name of the dataset and of its table
    description: Hourly observations.
    entity: origin                   # optional: column that equals the record's entity
    event_time: observed_at          # optional: column that equals the record's event time
    feature_view: weather_by_origin  # optional: Feast push source or feature view
    unknown_columns: refuse          # or drop
    columns:
      - {name: origin, type: string, required: true, allowed: [EWR, JFK, LGA]}
      - {name: observed_at, type: timestamp, required: true}
      - {name: temp, type: number, min: -40, max: 130}

`columns` may be a mapping by name as well; `min` and `max` may be written `minimum` and `maximum`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import yaml
from pydantic import TypeAdapter, ValidationError

from event_schemas.base import Name
from ingest.domain.contract import KINDS, RESERVED, Column, Contract, Kind, read_value

_TOP = (
    "dataset",
    "description",
    "entity",
    "event_time",
    "feature_view",
    "unknown_columns",
    "columns",
)
_COLUMN = ("name", "type", "required", "minimum", "maximum", "min", "max", "allowed", "description")
_RANGED = ("number", "integer", "timestamp")


FILES = "*/datasets/*.yaml"
"""Where contracts lie in the folder of models."""


class ContractError(ValueError):
    """A contract cannot be read; the text names file, field, value and remedy."""


def load_contracts(models_dir: Path) -> tuple[dict[str, Contract], list[str]]:
    """Every contract under a folder of models, by dataset, and what is wrong with the others.

    A file that is wrong costs its own dataset; of two that describe one dataset differently the
    first counts.
    """
    return merge(read_contracts(models_dir))


def read_contracts(models_dir: Path) -> Sequence[tuple[Path, Contract | ContractError]]:
    """What each file under a folder of models says, or what is wrong with it."""
    read: list[tuple[Path, Contract | ContractError]] = []
    for path in sorted(models_dir.glob(FILES)):
        try:
            read.append((path, read_contract(path)))
        except ContractError as error:
            read.append((path, error))
    return read


def merge(
    read: Sequence[tuple[Path, Contract | ContractError]],
) -> tuple[dict[str, Contract], list[str]]:
    """See `load_contracts`."""
    contracts: dict[str, Contract] = {}
    files: dict[str, Path] = {}
    problems: list[str] = []
    for path, contract in read:
        if isinstance(contract, ContractError):
            problems.append(str(contract))
            continue
        name = contract.dataset
        if name in contracts and contracts[name].version != contract.version:
            problems.append(
                f"{path}: dataset: {name!r} is described differently in {files[name]}, which"
                " counts; make the files equal, or name the datasets apart"
            )
            continue
        contracts[name] = contract
        files[name] = path
    return contracts, problems


def read_contract(path: Path) -> Contract:
    """The contract in one file.

    Raises:
        ContractError: the file is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(f"{path}: no UTF-8 text: {error}") from error
    except OSError as error:
        raise ContractError(f"{path}: cannot be read: {error}") from error
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML lets the errors of its values out: a date of month 13, or brackets without end.
        raise ContractError(f"{path}: no YAML: {error}") from error
    try:
        return _contract(document)
    except _FieldError as error:
        raise ContractError(f"{path}: {error}") from error


class _FieldError(ValueError):
    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field}: {value!r}: {remedy}")


def _contract(document: Any) -> Contract:
    if not isinstance(document, Mapping):
        raise _FieldError("file", document, "write a mapping with `dataset` and `columns`")
    _require_known(document, _TOP, "")
    name = document.get("dataset")
    # `quarantine` is the folder beside the tables.
    if not _is_name(name) or name == "quarantine":
        raise _FieldError(
            "dataset", name, "give a name: lower case, starts with a letter, not `quarantine`"
        )
    unknown = document.get("unknown_columns", "refuse")
    if unknown not in ("refuse", "drop"):
        raise _FieldError("unknown_columns", unknown, "say refuse or drop")
    view = document.get("feature_view")
    if view is not None and (not isinstance(view, str) or not view):
        raise _FieldError("feature_view", view, "name a push source or a feature view of Feast")
    columns = tuple(_column(name, given) for name, given in _columns(document.get("columns")))
    entity = _named("entity", document.get("entity"), columns, "string")
    event_time = _named("event_time", document.get("event_time"), columns, "timestamp")
    content = json.dumps(
        [
            [c.name, c.kind, c.required, str(c.minimum), str(c.maximum), _sorted(c.allowed)]
            for c in columns
        ]
        + [unknown, entity, event_time]
    )
    return Contract(
        dataset=name,
        columns=columns,
        entity_column=entity,
        event_time_column=event_time,
        version=hashlib.sha256(content.encode()).hexdigest()[:12],
        unknown_columns=unknown,
        feature_view=view,
        description=str(document.get("description") or "").strip(),
    )


def _sorted(allowed: frozenset[Any] | None) -> list[str] | None:
    return None if allowed is None else sorted(map(str, allowed))


def _named(field: str, given: Any, columns: tuple[Column, ...], kind: Kind) -> str | None:
    """The column that repeats the record's entity or event time."""
    if given is not None and not any((c.name, c.kind) == (given, kind) for c in columns):
        raise _FieldError(field, given, f"name a column of type {kind}, or leave it out")
    return given


def _columns(given: Any) -> list[tuple[Any, Any]]:
    """Columns as a mapping by name, or as a list of mappings with `name`."""
    if isinstance(given, list):
        pairs = [(c.get("name") if isinstance(c, Mapping) else None, c) for c in given]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        pairs = []
    if not pairs:
        raise _FieldError("columns", given, "name at least one column with its type")
    names: set[str] = set()
    for name, column in pairs:
        if not isinstance(name, str) or not name:
            raise _FieldError("columns", name, "a column needs a name that is text; quote it")
        if not isinstance(column, Mapping):
            raise _FieldError(f"columns.{name}", column, "write {type: string} or the like")
        if name in RESERVED:
            raise _FieldError(
                f"columns.{name}", name, "every table has this column already; rename it"
            )
        if name.lower() in names:
            raise _FieldError(f"columns.{name}", name, "the name is taken, whatever its case")
        names.add(name.lower())
    return pairs


def _column(name: str, given: Mapping[str, Any]) -> Column:
    where = f"columns.{name}"
    _require_known(given, _COLUMN, f"{where}.")
    kind = given.get("type")
    if kind not in KINDS:
        raise _FieldError(f"{where}.type", kind, f"choose one of {', '.join(KINDS)}")
    required = given.get("required", False)
    if not isinstance(required, bool):
        raise _FieldError(f"{where}.required", required, "say true or false")
    limits: dict[str, Any] = {}
    for side, short in (("minimum", "min"), ("maximum", "max")):
        value = given.get(side, given.get(short))
        if value is not None and kind not in _RANGED:
            raise _FieldError(f"{where}.{side}", value, f"only {', '.join(_RANGED)} have one")
        limits[side] = None if value is None else _value(kind, value, f"{where}.{side}")
    if None not in limits.values() and limits["minimum"] > limits["maximum"]:
        raise _FieldError(f"{where}.minimum", limits["minimum"], "it is above the maximum")
    allowed = given.get("allowed")
    if allowed is not None:
        if not isinstance(allowed, list) or not allowed:
            raise _FieldError(f"{where}.allowed", allowed, "list the values, at least one")
        allowed = frozenset(_value(kind, value, f"{where}.allowed") for value in allowed)
    return Column(name, kind, required, limits["minimum"], limits["maximum"], allowed)


def _value(kind: Any, value: Any, where: str) -> Any:
    try:
        return read_value(kind, value)
    except ValueError as error:
        raise _FieldError(where, value, f"{error}; YAML reads NO as false: quote text") from None


def _require_known(given: Mapping[Any, Any], known: tuple[str, ...], prefix: str) -> None:
    """Raise an error over the first key that is not among those known."""
    for name in given:
        if name not in known:
            raise _FieldError(f"{prefix}{name}", given[name], f"known are {', '.join(known)}")


def _is_name(value: Any) -> TypeGuard[str]:
    try:
        TypeAdapter(Name).validate_python(value)
    except ValidationError:
        return False
    return True
