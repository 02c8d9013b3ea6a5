"""Records and labels of a request as events, or every fault in them.

The id of an event is made of its content, so that a repeated request makes the same events.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from event_schemas import LabelArrived, RecordReceived
from event_schemas.values import category
from ingest.adapters.model_tasks import ModelTask
from ingest.api.body import RefusedError
from servicekit.event import Event, derived_id

SOURCE = "/tailrace/ingest"
MAX_FAULTS = 10
"""Faults that an answer lists."""
MAX_ENTITY = 512
MAX_PREDICTION_ID = 128
MAX_LABEL = 256
_EXAMPLE = "2013-01-01T10:00:00Z"


class _FaultError(Exception):
    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy


def record_events(
    dataset: str, items: list[Any], now: datetime, max_record_bytes: int
) -> list[Event]:
    """`record.received` for each item.

    Raises:
        RefusedError: 422, naming the first faults.
    """
    return _all("records", items, lambda item: _record(dataset, item, now, max_record_bytes))


@dataclass(frozen=True, slots=True)
class LabelRules:
    """Which labels are taken."""

    models: Mapping[str, ModelTask | None]
    """The models that there are, and what they answer where that is known."""
    latest: datetime
    """Latest `observed_at`."""
    any_model: bool = False
    """Whether labels of models that are not there are taken, too."""


def label_events(items: list[Any], now: datetime, rules: LabelRules) -> list[Event]:
    """`label.arrived` for each item.

    Raises:
        RefusedError: 422, naming the first faults.
    """
    return _all("labels", items, lambda item: _label(item, now, rules))


def _all(name: str, items: list[Any], event: Callable[[Any], Event]) -> list[Event]:
    events: list[Event] = []
    faults: list[dict[str, Any]] = []
    count = 0
    for index, item in enumerate(items):
        try:
            events.append(event(item))
        except _FaultError as fault:
            count += 1
            if len(faults) < MAX_FAULTS:
                faults.append(
                    {
                        "index": index,
                        "field": fault.field,
                        "value": _short(fault.value),
                        "problem": fault.problem,
                        "remedy": fault.remedy,
                    }
                )
    if faults:
        first = faults[0]
        raise RefusedError(
            422,
            f"{name}[{first['index']}].{first['field']} = {first['value']}: {first['problem']};"
            f" {first['remedy']} ({count} of {len(items)} are wrong; nothing was taken)",
            faults,
        )
    return events


def _record(dataset: str, item: Any, now: datetime, max_bytes: int) -> Event:
    fields = _object(item, '{"entity": …, "event_time": …, "record": {…}}')
    entity = _text(fields, "entity", MAX_ENTITY)
    event_time = _time(fields, "event_time")
    record = fields.get("record")
    if not isinstance(record, dict):
        raise _FaultError("record", record, "it is no object", "send the columns by name")
    canonical = _canonical(record)
    if len(canonical.encode()) > max_bytes:
        raise _FaultError(
            "record", canonical, f"it is larger than {max_bytes} bytes", "send less in one record"
        )
    return _event(
        lambda: RecordReceived(
            dataset=dataset, entity=entity, event_time=event_time, record=record
        ),
        f"{dataset}|{entity}|{event_time.isoformat()}|{canonical}",
        now,
    )


def _canonical(record: dict[str, Any]) -> str:
    """The record as text, the same however its columns are ordered."""
    try:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        text.encode()
    except (UnicodeEncodeError, RecursionError) as error:
        problem = f"it cannot be written ({type(error).__name__})"
        raise _FaultError("record", "…", problem, "send Unicode text, and flat columns") from None
    return text


def _label(item: Any, now: datetime, rules: LabelRules) -> Event:
    fields = _object(item, '{"prediction_id": …, "model": …, "label": …, "observed_at": …}')
    prediction_id = _text(fields, "prediction_id", MAX_PREDICTION_ID)
    model = _text(fields, "model", 63)
    if model not in rules.models and not rules.any_model:
        known = ", ".join(sorted(rules.models)[:10]) or "none"
        remedy = "mend the name, add the model's folder, or set LABELS_OF_ANY_MODEL"
        raise _FaultError("model", model, f"no folder of models has it; known are {known}", remedy)
    label = _truth(fields.get("label"), rules.models.get(model))
    observed_at = _time(fields, "observed_at")
    if observed_at > rules.latest:
        limit = rules.latest.isoformat(timespec="seconds")
        problem = f"it lies ahead of the clock, after {limit} (MAX_LABEL_FUTURE_SECONDS)"
        raise _FaultError(
            "observed_at", fields["observed_at"], problem, "send when the truth became known"
        )
    return _event(
        lambda: LabelArrived(
            prediction_id=prediction_id, model=model, label=label, observed_at=observed_at
        ),
        f"{prediction_id}|{label!r}|{observed_at.isoformat()}",
        now,
    )


def _truth(label: object, task: ModelTask | None) -> float | str:
    """A label as the task of its model has it; any number or text where that is not known."""
    if isinstance(label, str):
        if not 0 < len(label) <= MAX_LABEL:
            problem = f"it has {len(label)} characters"
            raise _FaultError("label", label, problem, f"send 1 to {MAX_LABEL} characters")
    elif not isinstance(label, int | float) or not _finite(label):
        raise _FaultError("label", label, "it is no number and no text", "send one")
    if task is None or task.task == "multiclass":
        if task is None and not isinstance(label, str | bool):
            return float(label)
        return category(label) or ""
    if task.classes:
        name = category(label)
        if name not in task.classes:
            remedy = f"send {' or '.join(task.classes)}"
            raise _FaultError("label", label, "it is no class of the model", remedy)
        return name
    is_number = isinstance(label, int | float) and not isinstance(label, bool)
    if task.task == "regression" and is_number:
        return float(label)
    if task.task == "regression":
        raise _FaultError("label", label, "it is no number", "send one: the model is a regression")
    if not is_number or label not in (0, 1):
        problem = "it is neither 0 nor 1, and the model is a binary classification"
        raise _FaultError("label", label, problem, "send 0 or 1, or name the model's classes")
    return float(label)


def _event(make: Callable[[], RecordReceived | LabelArrived], content: str, now: datetime) -> Event:
    """The event; what only the contract of the event sees is a fault as well."""
    try:
        body = make()
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"])) or "item"
        raise _FaultError(field, problem["input"], problem["msg"], "mend the value") from None
    except RecursionError:
        raise _FaultError("record", "…", "it is nested too deeply", "send flat columns") from None
    return Event(body=body, source=SOURCE, time=now, id=derived_id(content, body.type))


def _object(item: Any, shape: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise _FaultError("item", item, "it is no object", f"send {shape}")
    return item


def _text(fields: dict[str, Any], name: str, longest: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        problem = (
            "it is missing" if value is None else f"it is no text of 1 to {longest} characters"
        )
        raise _FaultError(name, value, problem, "send a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _FaultError(name, value, "it is no Unicode text", "mend its escapes") from None
    return value


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _time(fields: dict[str, Any], name: str) -> datetime:
    value = fields.get(name)
    remedy = f"send RFC 3339 with an offset, e.g. {_EXAMPLE}"
    if not isinstance(value, str):
        problem = "it is missing" if value is None else "it is no text"
        raise _FaultError(name, value, problem, remedy)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _FaultError(name, value, "it cannot be read as a time", remedy) from None
    if moment.utcoffset() is None:
        raise _FaultError(name, value, "it has no offset from UTC", remedy)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _FaultError(name, value, "it lies outside the years 1 to 9999", remedy) from None


def _short(value: object, limit: int = 80) -> str:
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
