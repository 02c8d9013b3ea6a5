"""A pipeline that has no true ONNX form is trained, judged, rolled out and answered with."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from event_schemas import ModelTrained, PredictionLogged, RolloutStep
from event_schemas.policy import Feature
from event_schemas.task import BINARY
from trainer.adapters.artifact import export
from trainer.ports import TrainingResult, TrainingTask

pytestmark = pytest.mark.integration


def test_what_does_not_convert_is_served_by_scikit_learn(
    new_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = new_loop()
    fitted: list[Any] = []

    class Trees(loop.training):  # type: ignore[misc]
        """Takes x for a category, which ONNX has no notion of."""

        def train(self, task: TrainingTask) -> TrainingResult:
            from sklearn.ensemble import HistGradientBoostingClassifier

            rows = self._lake.table(task.definition.training.dataset).rows
            frame = pd.DataFrame({"x": np.array([r.columns["x"] for r in rows], np.float32)})
            late = [r.columns["late"] for r in rows]
            trees = HistGradientBoostingClassifier(categorical_features=[0]).fit(frame, late)
            fitted.append(trees)
            policies = task.definition.policies
            features = (Feature(name="x", kind="number", source="request"),)
            made = export(trees, features, BINARY, frame, policies.gate)
            return replace(
                super().train(task),
                artifact=made.content,
                format=made.format,
                parity=made.parity,
                why_not_onnx=made.why_not_onnx,
            )

    monkeypatch.setattr(type(loop), "training", Trees)
    loop.start()
    loop.begin()
    loop.turn()

    (trained,) = loop.events(ModelTrained)
    assert trained.body.version.artifact.format == "skops"
    assert trained.body.parity == 0.0
    assert "ONNX" in trained.body.why_not_onnx
    (step,) = loop.events(RolloutStep)
    assert step.body.champion.artifact.format == "skops"
    scores = fitted[0].predict_proba(pd.DataFrame({"x": np.float32([0, 1])}))[:, 1]
    for number in range(10):
        answer = loop.ask(number)
        assert answer["version"] == "1"
    logged = loop.events(PredictionLogged)
    assert {e.body.score for e in logged} == {*scores.tolist()}
