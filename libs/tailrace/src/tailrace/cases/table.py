"""The cases of a model: what was asked when, and what came of it when.

The folder that describes the dataset of a model brings them in `demo.py`, for all models that are
trained on it: `cases()` returns a `pandas.DataFrame` with the dataset's columns, one row a case,
and `START` is the moment (aware) from which on predictions are asked for; what was known before is
history.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from event_schemas.policy import Feature
from local.errors import StackError

if TYPE_CHECKING:
    import pandas as pd

MODEL_FILE = "model.yaml"
CASES_FILE = "demo.py"


class CasesError(StackError):
    """There are no cases of a model that could be replayed; the text says why."""


class _Plan(BaseModel):
    dataset: str
    label: str
    label_above: float | None = None
    feature_time: str | None = None


class _Model(BaseModel):
    model: str
    features: tuple[Feature, ...]
    training: _Plan


class _Dataset(BaseModel):
    dataset: str
    entity: str = "event_id"
    event_time: str = "event_time"


@dataclass(frozen=True)
class Case:
    """One prediction that is asked for, and its outcome."""

    asked_at: datetime
    known_at: datetime
    request: Mapping[str, Any]
    label: Mapping[str, Any]
    record: Mapping[str, Any]
    """The outcome as a record of the dataset."""


class ModelCases:
    """The cases of one model.

    Args:
        folder: Of the model.
        run: Begins the prediction ids, so that they are known among others.

    Raises:
        CasesError: There are none.
    """

    def __init__(self, folder: Path, run: str) -> None:
        described = _read(_Model, folder / MODEL_FILE)
        self.model = described.model
        self.dataset = described.training.dataset
        self._plan = described.training
        self._run = run
        self._contract, source = _contract_of(folder.parent, self.dataset)
        self._asked_at = described.training.feature_time or self._contract.event_time
        stored = [f.name for f in described.features if f.source == "store"]
        if stored:
            raise CasesError(
                f"{folder}: {', '.join(stored)} come from the feature store, and cases bring what"
                " is sent alone"
            )
        self._features = [feature.name for feature in described.features]
        module = _module(source / CASES_FILE)
        self.start: datetime = module.START
        self._frame: pd.DataFrame = module.cases()
        needed = {*self._features, self._plan.label, self._asked_at}
        needed |= {self._contract.entity, self._contract.event_time}
        if missing := sorted(needed - set(self._frame.columns)):
            raise CasesError(f"{source / CASES_FILE}: cases() has no column {', '.join(missing)}")

    @cached_property
    def all(self) -> Sequence[Case]:
        """Every case, by the time at which it is asked."""
        rows = self._frame.sort_values(self._asked_at, kind="stable").to_dict("records")
        return [self._case({str(k): v for k, v in row.items()}) for row in rows]

    def _case(self, row: dict[str, Any]) -> Case:
        values = {name: _plain(value) for name, value in row.items()}
        asked, known = (_moment(row[n]) for n in (self._asked_at, self._contract.event_time))
        entity = str(values[self._contract.entity])
        prediction_id = f"{self._run}.{self.model}.{entity}"
        label = values[self._plan.label]
        if self._plan.label_above is not None:
            label = float(label > self._plan.label_above)
        return Case(
            asked,
            known,
            request={
                "model": self.model,
                "entity_id": entity,
                "prediction_id": prediction_id,
                "event_time": asked.isoformat(),
                "features": {name: values[name] for name in self._features},
            },
            label={
                "prediction_id": prediction_id,
                "model": self.model,
                "label": label,
                "observed_at": known.isoformat(),
            },
            record={"entity": entity, "event_time": known.isoformat(), "record": values},
        )


def _contract_of(models: Path, dataset: str) -> tuple[_Dataset, Path]:
    """What describes a dataset, and the model's folder that it lies in."""
    for path in sorted(models.glob("*/datasets/*.yaml")):
        found = _read(_Dataset, path)
        if found.dataset == dataset:
            return found, path.parents[1]
    raise CasesError(f"{models}: no datasets/*.yaml describes the dataset {dataset}")


def _read(kind: type[Any], path: Path) -> Any:
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise CasesError(f"{path}: {error}") from error


def _module(path: Path) -> Any:
    """The code of a model's folder, which whoever runs the demo trusts as the trainer does."""
    spec = importlib.util.spec_from_file_location(f"cases_of_{path.parent.name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise CasesError(f"{path}: is not there; it brings the cases of the demo")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code may raise anything
        raise CasesError(f"{path}: does not run: {type(error).__name__}: {error}") from error
    for name in ("START", "cases"):
        if not hasattr(module, name):
            raise CasesError(f"{path}: has no {name}")
    return module


def _plain(value: Any) -> Any:
    """A value of a frame as JSON has it; None for a missing one."""
    if isinstance(value, datetime):
        return _moment(value).isoformat()
    if hasattr(value, "item"):
        value = value.item()
    return None if value != value else value


def _moment(value: Any) -> datetime:
    moment: datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return moment.astimezone(UTC)
