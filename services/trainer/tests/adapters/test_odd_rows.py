"""Rows that may come and that no hold-out has."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from event_schemas.policy import Feature, GatePolicy
from event_schemas.task import BINARY
from trainer.adapters import artifact
from trainer.adapters.odd_rows import BASES, UNSEEN, odd_rows

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters


def number(name: str, **more) -> Feature:
    return Feature(name=name, kind="number", source="request", **more)


def test_each_input_has_its_oddities_and_the_others_stay() -> None:
    frame = pd.DataFrame({"x": np.linspace(0, 10, 100, dtype=np.float32), "c": ["a", "b"] * 50})
    features = [
        number("x", required=False),
        Feature(name="c", kind="category", source="request"),
    ]
    found = list(odd_rows(frame, features))
    assert [set(odd["x"]) for odd in found[:2]] == [{-1000.0}, {1010.0}]
    assert found[2]["x"].isna().all()
    assert set(found[3]["c"]) == {UNSEEN}
    assert len(found) == 4, "what a request has to bring is never missing"
    for odd in found[:3]:
        assert odd["x"].dtype == np.float32
        assert set(odd["c"]) == {"a", "b"}
        assert len(odd) == BASES


@pytest.mark.parametrize("more", [{"required": True}, {"required": False, "default": 1.0}])
def test_what_is_never_missing_is_not_tried_so(more) -> None:
    frame = pd.DataFrame({"x": np.arange(9, dtype=np.float32)})
    assert not any(odd["x"].isna().any() for odd in odd_rows(frame, [number("x", **more)]))


def test_numbers_that_are_all_alike_have_extremes() -> None:
    frame = pd.DataFrame({"x": np.full(9, 5.0, np.float32)})
    assert [set(odd["x"]) for odd in odd_rows(frame, [number("x")])] == [{-495.0}, {505.0}]


def test_fault_6_11_a_forest_whose_file_errs_on_missing_values_is_served_by_its_pipeline() -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(rng.normal(size=(600, 2)).astype(np.float32), columns=pd.Index(["x", "y"]))
    labels = (rows["x"] + rows["y"] > 0).astype(int)
    known = rows.copy()
    known.loc[::5, "x"] = np.nan
    forest = RandomForestClassifier(20, random_state=1).fit(known[:500], labels[:500])
    held = rows[500:].reset_index(drop=True)  # where nothing is missing
    features = [number("x", required=False), number("y")]
    made = artifact.export(forest, features, BINARY, held, GatePolicy())
    assert made.format == "skops"
    assert made.why_not_onnx is not None
    assert "its ONNX form differs" in made.why_not_onnx
    whole = [number("x"), number("y")]
    assert artifact.export(forest, whole, BINARY, held, GatePolicy()).format == "onnx"


def test_fault_6_11_what_the_pipeline_does_not_answer_is_no_difference() -> None:
    class Strict:
        def predict_proba(self, frame):
            if frame["x"].isna().any():
                raise ValueError("x is missing")
            share = 1 / (1 + np.exp(-np.clip(frame["x"].to_numpy(float), -9, 9)))
            return np.stack([1 - share, share], axis=1)

    frame = pd.DataFrame({"x": np.arange(9, dtype=np.float32)})
    trials = artifact._odd_trials(Strict(), frame, [number("x", required=False)], BINARY)
    (trial,) = trials
    assert set(trial.rows["x"]) == {-800.0, 808.0}
    assert len(trial.expected) == len(trial.rows)
