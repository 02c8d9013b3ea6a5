"""Models as users describe them: one folder a model, with model.yaml and pipeline.py.

The error over a mistake names file, key, value and remedy; an unknown key is a mistake.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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
from trainer.ports import ModelDefinition, TrainingPlan

log = logging.getLogger(__name__)

MODEL_FILE = "model.yaml"
PIPELINE_FILE = "pipeline.py"


class ModelFolderError(Exception):
    """A model's folder says something wrong; the text names file, key, value and remedy."""


class ModelFile(BaseModel):
    """What model.yaml says."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    model: Name
    """Name of the model; the folder has the same."""
    task: Literal["binary_classification"] = "binary_classification"
    """What the score means."""
    features: tuple[Feature, ...] = Field(min_length=1)
    """The inputs, in the model's order."""
    training: TrainingPlan
    """Which rows, and how."""
    gate: GatePolicy = GatePolicy()
    """What a version must show before a rollout."""
    rollout: RolloutPolicy = RolloutPolicy()
    """How it takes over."""
    drift: DriftPolicy = DriftPolicy()
    """When the world counts as changed."""
    retrain: RetrainPolicy = RetrainPolicy()
    """Which requests for retraining are granted."""
    serving: ServingPolicy = ServingPolicy()
    """How it answers."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ModelFile":
        names = [feature.name for feature in self.features]
        if double := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"features: {', '.join(sorted(double))} is there twice")
        requested = {f.name for f in self.features if f.source == "request"}
        for feature in self.features:
            if feature.source == "store" and not (feature.view and feature.join_key):
                raise ValueError(
                    f"features: {feature.name} comes from the store, and needs view and join_key"
                )
            if feature.source == "request" and feature.last_known_seconds is not None:
                raise ValueError(
                    f"features: {feature.name} comes with the request, so nobody knows a last value"
                    " of it; drop last_known_seconds"
                )
        if self.retrain.volume_rows and "volume" not in self.retrain.causes:
            raise ValueError(
                f"retrain: volume_rows is {self.retrain.volume_rows}, but causes lacks volume,"
                " so each such request would be refused; add it, or drop volume_rows"
            )
        if unwatched := set(self.drift.feature_thresholds) - set(names):
            raise ValueError(
                f"drift.feature_thresholds: {', '.join(sorted(unwatched))} is no feature"
            )
        if not requested:
            raise ValueError("features: none has the source `request`")
        return self


class ModelFolders:
    """All models of a folder, read again when a file has changed.

    A change that is wrong is logged, and the model stays as it was.
    """

    def __init__(self, folder: Path) -> None:
        """Read all models.

        Raises:
            ModelFolderError: one of them is wrong, or the folder is not there.
        """
        if not folder.is_dir():
            raise ModelFolderError(
                f"{folder}: no such folder; set MODELS_DIR to the folder that holds the models"
            )
        self._folder = folder
        self._known: dict[str, tuple[tuple[float, float], ModelDefinition]] = {}
        for name in self._names():
            self._known[name] = (self._stamp(name), load_model(folder / name))

    def find(self, model: str) -> ModelDefinition | None:
        """See `Catalog.find`."""
        if model not in self._names():
            return None
        stamp, known = self._stamp(model), self._known.get(model)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            definition = load_model(self._folder / model)
        except ModelFolderError as error:
            log.error("%s", error)
            if known is None:
                return None
            definition = known[1]
        self._known[model] = (stamp, definition)
        return definition

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
    text = _read(path)
    code = _read(pipeline)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ModelFolderError(f"{path}: no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ModelFolderError(f"{path}: holds no mapping; begin with `model: {folder.name}`")
    unknown = list(_unknown_keys(ModelFile, document, ""))
    if unknown:
        raise ModelFolderError("\n".join(f"{path}: {problem}" for problem in unknown))
    try:
        described = ModelFile.model_validate(document)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise ModelFolderError("\n".join(f"{path}: {_text(p)}" for p in problems)) from error
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
        policies=Policies(**{name: getattr(described, name) for name in Policies.model_fields}),
        training=described.training,
        pipeline=pipeline,
        digest=digest,
    )


def _read(path: Path) -> str:
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
