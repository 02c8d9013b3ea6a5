"""The estimator of `glucose_range`: trees over the last readings."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingClassifier


def build_pipeline(seed: int) -> HistGradientBoostingClassifier:
    """Return the unfitted estimator; the same seed and rows give the same model."""
    return HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.08,
        max_leaf_nodes=8,
        min_samples_leaf=60,
        l2_regularization=5.0,
        early_stopping=False,  # pyright: ignore[reportArgumentType] - the default is a str
        random_state=seed,
    )
