"""The model that every server serves, and the rows that it is asked about."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd

NUMBERS = [f"n{i}" for i in range(12)]
STORED = NUMBERS[6:]
"""Features that the full path reads from the feature store."""
ENTITIES = 5000
ROWS = 1000
"""Requests that the load goes round."""


def write_model(folder: Path, trees: int = 100) -> None:
    """Gradient boosting over 12 numbers: `model.onnx`, `model.pickle`.

    The peers get the bare estimator, which takes an array: a pipeline that takes a frame would cost
    them another 2.5 ms a row.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline

    rng = np.random.default_rng(7)
    x = rng.normal(size=(20_000, 12)).astype(np.float32)
    y = x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(size=len(x)) > 0
    boosting = HistGradientBoostingClassifier(max_iter=trees, early_stopping=False, random_state=7)
    numbers = ColumnTransformer([("numbers", "passthrough", NUMBERS)])
    fitted = Pipeline([("numbers", numbers), ("trees", boosting)]).fit(
        pd.DataFrame(x, columns=NUMBERS), y.astype(int)
    )
    model = to_onnx(
        fitted,
        initial_types=[(name, FloatTensorType([None, 1])) for name in NUMBERS],
        options={"zipmap": False},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with (folder / "model.pickle").open("wb") as file:
        pickle.dump(fitted.named_steps["trees"], file)


def rows() -> "np.ndarray":
    """What is asked, by row: twelve numbers, rounded as JSON carries them."""
    return np.round(np.random.default_rng(11).normal(size=(ROWS, 12)), 4)


def stored() -> "np.ndarray":
    """What the feature store holds: six numbers for each entity."""
    return np.random.default_rng(17).normal(size=(ENTITIES, len(STORED)))


def expected(folder: Path, kind: str, count: int) -> list[float]:
    """What scikit-learn says to the first rows: the probability of class 1."""
    with (folder / "model.pickle").open("rb") as file:
        trees = pickle.load(file)
    asked = _asked(kind)[:count]
    if kind.startswith("full"):
        asked[:, 6:] = stored()[asked[:, 0].astype(int)]
    return trees.predict_proba(asked.astype(np.float32))[:, 1].tolist()


def bodies(kind: str) -> list[str]:
    """The requests in the words of a server.

    Args:
        kind: `oip` (MLServer), `row` (LitServe), `batchable` (BentoML), `mlflow`, or one of our
            models: `bare…` (all twelve features in the request) or `full…` (six of them, the others
            are stored).
    """
    return [json.dumps(_body(kind, i, row.tolist())) for i, row in enumerate(_asked(kind))]


def answered(kind: str, answer: bytes) -> float:
    """The probability of class 1 in a server's answer."""
    found = json.loads(answer)
    match kind:
        case "oip":
            return found["outputs"][0]["data"][-1]
        case "batchable":
            return found[-1]
        case "mlflow":
            return found["predictions"][-1][-1]
    return found["score"]


def _asked(kind: str) -> "np.ndarray":
    asked = rows()
    if kind.startswith("full"):
        # The key of the stored row is n0 of the request.
        asked[:, 0] = np.random.default_rng(13).integers(ENTITIES, size=ROWS)
    return asked


def _body(kind: str, i: int, row: list[float]) -> dict[str, object]:
    match kind:
        case "oip":
            tensor = {"name": "x", "shape": [1, 12], "datatype": "FP32", "data": row}
            return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}
        case "row":
            return {"x": row}
        case "batchable":
            return {"x": [row]}
        case "mlflow":
            return {"inputs": [row]}
    from_store = kind.startswith("full")
    sent = dict(zip(NUMBERS[: 6 if from_store else 12], row, strict=False))
    if from_store:
        sent["n0"] = int(row[0])
    return {"model": kind, "entity_id": f"e{i}", "features": sent}
