"""Models as users describe them: one folder a model, with model.yaml and pipeline.py.

The error over a mistake names file, key, value and remedy; an unknown key is a mistake.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from event_schemas import policy_rules, task
from event_schemas.base import Name
from event_schemas.policy import (
    DriftPolicy,
    Feature,
    GatePolicy,
    Policies,
    RetrainPolicy,
    RolloutPolicy,
    ServingPolicy,
)
from event_schemas.task import LOSSES, ClassNames, Loss, Target, Task
from trainer.domain import requirements
from trainer.ports import ModelDefinition, TrainingPlan

log = logging.getLogger(__name__)

MODEL_FILE = "model.yaml"
PIPELINE_FILE = "pipeline.py"


class ModelFolderError(Exception):
    """A model's folder says something wrong; the text names file, key, value and remedy."""


def _in_shares(policy: object) -> object:
    """Margins are shares of the champion's loss unless the file says otherwise."""
    return {"margin_unit": "share"} | policy if isinstance(policy, dict) else policy


class ModelFile(BaseModel):
    """What model.yaml says."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    model: Name
    """Name of the model; the folder has the same."""
    task: Task = "binary"
    """What it answers: a probability, a class, or a number."""
    classes: ClassNames = ()
    """Names of the classes, of a binary model the positive last; a binary one without has labels 0
    and 1, a multiclass one takes those of its training rows."""
    loss: Loss | None = None
    """What one answer costs; without it, the log-loss of classes, and the squared error."""
    features: tuple[Feature, ...] = Field(min_length=1)
    """The inputs, in the model's order."""
    training: TrainingPlan
    """Which rows, and how."""
    gate: Annotated[GatePolicy, BeforeValidator(_in_shares)] = GatePolicy(margin_unit="share")
    """What a version must show before a rollout."""
    rollout: Annotated[RolloutPolicy, BeforeValidator(_in_shares)] = RolloutPolicy(
        margin_unit="share"
    )
    """How it takes over."""
    drift: DriftPolicy = DriftPolicy()
    """When the world counts as changed."""
    retrain: RetrainPolicy = RetrainPolicy()
    """Which requests for retraining are granted."""
    serving: ServingPolicy = ServingPolicy()
    """How it answers."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelFile":
        problems = [
            *policy_rules.contradictions(self.policies, self.features),
            *_of_target(self),
            *_of_plan(self),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def target(self) -> Target:
        """What a version is to answer."""
        return Target(self.task, self.classes, self.loss or Loss(name=LOSSES[self.task][0]))

    @property
    def policies(self) -> Policies:
        """What travels with each version."""
        return Policies(**{name: getattr(self, name) for name in Policies.model_fields})


def _of_target(file: ModelFile) -> Iterator[str]:
    """Each reason for which no answer could be judged."""
    target = file.target
    problems = [*task.contradictions(target.task, target.classes, target.loss)]
    yield from problems or requirements.contradictions(file.gate.require, target)
    if file.training.label_above is not None and target.of_names:
        yield (
            f"training.label_above is {file.training.label_above:g}, and the labels are names of"
            " classes; drop one of both"
        )
    if file.training.label_above is not None and target.task == "regression":
        yield (
            f"training.label_above is {file.training.label_above:g}: a regression answers the label"
            " itself; drop it"
        )


def _of_plan(file: ModelFile) -> Iterator[str]:
    """Each reason for which no training could come to a version."""
    plan, needed = file.training, file.gate.min_rows
    if plan.max_rows < plan.min_rows:
        yield (
            f"training.max_rows is {plan.max_rows}, fewer than training.min_rows, {plan.min_rows}:"
            " nothing would be trained; raise it"
        )
    if plan.window is not None and plan.window <= timedelta(0):
        yield f"training.window is {plan.window}: give a length of time above 0"
    if isinstance(plan.holdout, timedelta):
        if plan.holdout <= timedelta(0):
            yield f"training.holdout is {plan.holdout}: give a length of time above 0"
        elif plan.window is not None and timedelta(0) < plan.window <= plan.holdout:
            yield (
                f"training.holdout is {plan.holdout} of a training.window of {plan.window}: nothing"
                " would be left to train on; shorten it"
            )
    elif plan.max_rows * plan.holdout < needed:
        yield (
            f"training.holdout is {plan.holdout:g} of at most {plan.max_rows} rows, and"
            f" gate.min_rows is {needed}: no version would pass; raise max_rows or holdout"
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """A folder as it was read last."""

    stamp: tuple[float, float]
    definition: ModelDefinition | None
    """The last that was right."""
    problem: str | None


class ModelFolders:
    """All models of a folder, read again when a file has changed.

    One that is wrong costs itself: it is logged once a change, and nothing is trained by it.
    """

    def __init__(self, folder: Path) -> None:
        """Read all models.

        Raises:
            ModelFolderError: the folder is not there.
        """
        if not folder.is_dir():
            raise ModelFolderError(
                f"{folder}: no such folder; set MODELS_DIR to the folder that holds the models"
            )
        self._folder = folder
        self._known: dict[str, _Read] = {}
        self.problems()

    def find(self, model: str) -> ModelDefinition | None:
        """See `Catalog.find`."""
        return self._read(model).definition if model in self._names() else None

    def problems(self) -> Mapping[str, str | None]:
        """See `Catalog.problems`."""
        return {name: self._read(name).problem for name in self._names()}

    def _read(self, model: str) -> _Read:
        stamp, known = self._stamp(model), self._known.get(model)
        if known is not None and known.stamp == stamp:
            return known
        try:
            definition = load_model(self._folder / model)
            _check_code(definition.pipeline)
            found = _Read(stamp, definition, None)
        except ModelFolderError as error:
            log.error("%s", error)
            found = _Read(stamp, known.definition if known else None, str(error))
        self._known[model] = found
        return found

    def trained_on(self, dataset: str) -> Sequence[ModelDefinition]:
        """See `Catalog.trained_on`."""
        found = (self.find(name) for name in self._names())
        return [d for d in found if d is not None and d.training.dataset == dataset]

    def _names(self) -> list[str]:
        return sorted(path.parent.name for path in self._folder.glob(f"*/{MODEL_FILE}"))

    def _stamp(self, model: str) -> tuple[float, float]:
        files = (self._folder / model / name for name in (MODEL_FILE, PIPELINE_FILE))
        times = tuple(f.stat().st_mtime if f.exists() else 0.0 for f in files)
        return times[0], times[1]


def load_model(folder: Path) -> ModelDefinition:
    """The definition that a folder holds.

    Raises:
        ModelFolderError: it is incomplete or wrong.
    """
    path, pipeline = folder / MODEL_FILE, folder / PIPELINE_FILE
    text = _text_of(path)
    code = _text_of(pipeline)
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML lets the errors of its values out: a date of month 13, or brackets without end.
        raise ModelFolderError(f"{path}: no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ModelFolderError(f"{path}: holds no mapping; begin with `model: {folder.name}`")
    unknown = list(_unknown_keys(ModelFile, document, ""))
    if unknown:
        raise ModelFolderError("\n".join(f"{path}: {problem}" for problem in unknown))
    try:
        described = ModelFile.model_validate(document)
    except ValidationError as error:
        problems = [line for p in error.errors(include_url=False) for line in _text(p).split("\n")]
        raise ModelFolderError("\n".join(f"{path}: {line}" for line in problems)) from error
    if described.model != folder.name:
        raise ModelFolderError(
            f"{path}: model: {described.model!r} lies in the folder {folder.name!r}; give both"
            " the same name"
        )
    digest = hashlib.sha256(text.encode() + b"\0" + code.encode()).hexdigest()
    return _definition(described, pipeline.resolve(), digest)


def _definition(described: ModelFile, pipeline: Path, digest: str) -> ModelDefinition:
    return ModelDefinition(
        model=described.model,
        features=described.features,
        policies=described.policies,
        training=described.training,
        pipeline=pipeline,
        digest=digest,
        target=described.target,
    )


def _check_code(pipeline: Path) -> None:
    try:
        compile(_text_of(pipeline), str(pipeline), "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelFolderError(f"{pipeline}: no Python that can be read: {error}") from error


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderError(f"{path}: cannot be read: {error}") from error


def _unknown_keys(kind: type[BaseModel], value: Any, where: str) -> Iterator[str]:
    """Each key that the model of its place does not know."""
    if not isinstance(value, Mapping):
        return
    known = kind.model_fields
    for key, part in value.items():
        place = f"{where}{key}"
        if key not in known:
            yield f"{place}: {part!r} has a key that nobody knows; known are {', '.join(known)}"
            continue
        inner = _model_in(known[key].annotation)
        if inner is not None:
            parts = enumerate(part) if isinstance(part, list) else [(None, part)]
            for index, item in parts:
                yield from _unknown_keys(
                    inner, item, f"{place}." if index is None else f"{place}[{index}]."
                )


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in get_args(annotation) if (m := _model_in(a)) is not None), None)


def _text(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or "model.yaml"
    if problem["type"] == "missing":
        return f"{place}: is missing; add it"
    if problem["type"] == "value_error":
        return str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {problem['input']!r}: {problem['msg']}"
