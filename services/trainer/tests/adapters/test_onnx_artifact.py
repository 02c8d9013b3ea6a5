"""Estimators without a step for columns become ONNX as well."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from event_schemas.policy import Feature
from trainer.adapters import onnx_artifact

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters

FEATURES = [Feature(name=name, kind="number", source="request") for name in ("hour", "wind")]


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=3),
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        Pipeline([("inner", make_pipeline(HistGradientBoostingClassifier(max_iter=3)))]),
    ],
    ids=["trees", "line", "scaled", "nested"],
)
def test_fault_4_4_a_bare_estimator_of_numbers_becomes_onnx(estimator) -> None:
    import onnx

    rng = np.random.default_rng(1)
    frame = pd.DataFrame({f.name: rng.normal(size=200).astype(np.float32) for f in FEATURES})
    estimator.fit(frame, (frame["wind"] > frame["hour"]).astype(int))
    content = onnx_artifact.export(estimator, FEATURES, classifies=True)
    assert [i.name for i in onnx.load_from_string(content).graph.input] == ["hour", "wind"]
    found = onnx_artifact.run(content, frame, FEATURES)
    assert found == pytest.approx(estimator.predict_proba(frame), abs=1e-5)
