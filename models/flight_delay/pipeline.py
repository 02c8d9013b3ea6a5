"""The estimator of `flight_delay`: what is fitted, and nothing about when or on which rows.

`build_pipeline` takes a frame with one column for each feature of `model.yaml`, in that order:
categories as str ("" when missing), numbers as float32 (NaN when missing).
"""

from __future__ import annotations

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = (
    "hour",
    "weekday",
    "distance",
    "scheduled_minutes",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
)


def build_pipeline(seed: int) -> Pipeline:
    """Return the unfitted pipeline; the same seed and rows give the same model.

    The shape is chosen so that its ONNX form answers as scikit-learn does: numbers pass unscaled
    (scaling in float32 moves values across the trees' thresholds), and categories become ordinals
    (the trees' own `categorical_features` converts without an error and predicts wrongly). Trees
    split ordinals as often as they need, so nothing is lost by the arbitrary order.
    """
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,  # a carrier or airport never seen in training
        dtype=np.float32,  # pyright: ignore[reportArgumentType] - inferred from the default
    )
    columns = ColumnTransformer(
        [("categories", encode, list(CATEGORIES)), ("numbers", "passthrough", list(NUMBERS))],
        verbose_feature_names_out=False,
    )
    # Small leaves learn the weather of single days: flights of a day share their fate, so a leaf
    # of 20 flights is far less evidence than it looks.
    trees = HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=200,
        l2_regularization=10.0,
        early_stopping=False,  # pyright: ignore[reportArgumentType] - the default is a str
        random_state=seed,
    )
    return Pipeline([("columns", columns), ("trees", trees)])
