import numpy as np
import onnxruntime
import pandas as pd
import pytest

from trainer.adapters.onnx_artifact import export, run

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"  # of the converters; nothing of ours
)


@pytest.fixture(scope="module")
def fitted(pipeline_module, flights):
    frame, labels = flights
    return pipeline_module.build_pipeline(7).fit(frame, labels)


@pytest.fixture(scope="module")
def artifact(fitted, definition):
    return export(fitted, definition.features, classifies=True)


def test_the_model_has_learned_what_makes_flights_late(fitted, flights):
    frame, labels = flights
    scores = fitted.predict_proba(frame)[:, 1]
    assert scores[labels == 1].mean() > scores[labels == 0].mean() + 0.1


def test_the_artifact_takes_one_input_a_feature_in_the_order_of_the_model(artifact, definition):
    session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == [f.name for f in definition.features]


def test_the_artifact_answers_as_scikit_learn_on_every_row(fitted, artifact, flights, definition):
    frame, _ = flights
    difference = run(artifact, frame, definition.features) - fitted.predict_proba(frame)
    assert np.abs(difference).max() < 1e-6


@pytest.mark.parametrize(
    "oddity",
    [
        pytest.param({"carrier": "ZZ", "origin": "TEB", "dest": "???"}, id="unknown categories"),
        pytest.param({"carrier": "", "origin": "", "dest": ""}, id="missing categories"),
        pytest.param(
            dict.fromkeys(["temp", "dewp", "humid", "wind_speed", "precip"], np.nan),
            id="no weather",
        ),
        pytest.param({"wind_speed": 1048.36, "temp": -1e9, "pressure": 3e38}, id="absurd readings"),
    ],
)
def test_the_artifact_agrees_on_odd_rows(oddity, fitted, artifact, flights, definition):
    frame: pd.DataFrame = flights[0].head(500).assign(**oddity)
    numbers = {f.name: np.float32 for f in definition.features if f.kind == "number"}
    frame = frame.astype(numbers)
    scores = fitted.predict_proba(frame)
    assert np.isfinite(scores).all()
    assert np.abs(run(artifact, frame, definition.features) - scores).max() < 1e-6


def test_the_same_seed_and_rows_give_the_same_model(fitted, pipeline_module, flights):
    frame, labels = flights
    again = pipeline_module.build_pipeline(7).fit(frame, labels)
    assert np.array_equal(again.predict_proba(frame), fitted.predict_proba(frame))
