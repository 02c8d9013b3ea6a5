"""The estimator of `glucose`: trees over the last readings, judged by the absolute error."""

from __future__ import annotations

from sklearn.ensemble import HistGradientBoostingRegressor


def build_pipeline(seed: int) -> HistGradientBoostingRegressor:
    """Return the unfitted estimator; the same seed and rows give the same model."""
    return HistGradientBoostingRegressor(
        loss="absolute_error",
        max_iter=100,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        early_stopping=False,  # pyright: ignore[reportArgumentType] - the default is a str
        random_state=seed,
    )
