"""Small fitted models of each task, as files that a version is made of."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from services.predictor.tests.lab import Features, Lab

from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Feature
from event_schemas.task import LOSSES, Loss, Target

NUMBERS: Features = (
    Feature(name="x", kind="number", source="request"),
    Feature(name="y", kind="number", source="request"),
)
CLASSES = ("hail", "rain", "sun")
ROWS = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)

Form = Literal["onnx", "skops"]


def target(task: str, classes: tuple[str, ...] = ()) -> Target:
    """A target with the first loss of its task."""
    return Target(task, classes, Loss(name=LOSSES[task][0]))  # type: ignore[arg-type]


SKIES = target("multiclass", CLASSES)
AMOUNTS = target("regression")
WETNESS = target("binary", ("dry", "wet"))


def fitted(wanted: Target) -> Any:
    """An estimator that learned what it could of `ROWS`."""
    from sklearn.linear_model import LinearRegression, LogisticRegression

    x, y = ROWS.T
    if wanted.task == "regression":
        return LinearRegression().fit(ROWS, 100 + 30 * x - 7 * y)
    places = np.digitize(x + y, [0.0] if wanted.task == "binary" else [-0.5, 0.5])
    return LogisticRegression().fit(ROWS, places)


def expected(wanted: Target, rows: np.ndarray) -> np.ndarray:
    """What the estimator itself answers."""
    estimator = fitted(wanted)
    return estimator.predict(rows) if wanted.task == "regression" else estimator.predict_proba(rows)


def _onnx(wanted: Target) -> bytes:
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    names = [feature.name for feature in NUMBERS]
    join = ColumnTransformer([("numbers", "passthrough", names)])
    join.fit(pd.DataFrame({name: ROWS[:, n] for n, name in enumerate(names)}))
    whole = Pipeline([("join", join), ("model", fitted(wanted))])
    options = {} if wanted.task == "regression" else {id(whole): {"zipmap": False}}
    kinds: Any = [(name, FloatTensorType([None, 1])) for name in names]
    model: Any = to_onnx(whole, initial_types=kinds, options=options, target_opset=18)
    return model.SerializeToString()


def _skops(wanted: Target) -> bytes:
    import skops.io

    return skops.io.dumps(fitted(wanted))


_WRITE: dict[Form, Callable[[Target], bytes]] = {"onnx": _onnx, "skops": _skops}


def file_of(folder: Path, wanted: Target, form: Form = "onnx") -> Path:
    """The file of a fitted model."""
    path = folder / f"{wanted.task}.{form}"
    if not path.exists():
        path.write_bytes(_WRITE[form](wanted))
    return path


def version_of(lab: Lab, wanted: Target, number: int = 1, form: Form = "onnx") -> ModelVersion:
    """A version of a model that is called as its task."""
    path = file_of(lab.folder, wanted, form)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return lab.version(number, NUMBERS, model=wanted.task).model_copy(
        update={
            "artifact": Artifact(uri=str(path), sha256=digest, format=form),
            "task": wanted.task,
            "classes": wanted.classes,
            "loss": wanted.loss,
        }
    )
