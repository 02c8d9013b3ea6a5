"""Models as users describe them, and what they are told when they err."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from event_schemas.task import BINARY
from trainer.adapters.model_folder import ModelFolderError, ModelFolders, load_model

DOCUMENT = {
    "model": "late_ferry",
    "features": [
        {"name": "harbour", "kind": "category", "source": "request"},
        {
            "name": "wind",
            "kind": "number",
            "source": "store",
            "view": "weather",
            "join_key": "harbour",
            "max_age_seconds": 7200,
        },
    ],
    "training": {"dataset": "ferries", "label": "minutes_late", "label_above": 15, "seed": 7},
}
HARBOUR, WIND = DOCUMENT["features"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "late_ferry"
    path.mkdir()
    (path / "pipeline.py").write_text("def build_pipeline(seed): ...\n")
    write(path, DOCUMENT)
    return path


def write(folder: Path, document: object) -> None:
    (folder / "model.yaml").write_text(yaml.safe_dump(document))


def changed(**parts) -> dict:
    document = yaml.safe_load(yaml.safe_dump(DOCUMENT))
    for name, part in parts.items():
        document[name] = {**document.get(name, {}), **part} if isinstance(part, dict) else part
    return document


def test_a_folder_becomes_a_definition_with_all_policies(folder):
    write(
        folder,
        changed(
            training={"holdout": "14 days", "window": "P56D"},
            retrain={"cooldown": "P3D"},
            gate={"min_rows": 9},
        ),
    )
    definition = load_model(folder)
    assert [f.name for f in definition.features] == ["harbour", "wind"]
    assert definition.training.seed == 7
    assert definition.training.holdout == timedelta(days=14)
    assert definition.training.window == timedelta(days=56)
    assert definition.policies.retrain.cooldown == timedelta(days=3)
    assert definition.policies.gate.min_rows == 9
    assert definition.pipeline == folder / "pipeline.py"


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (changed(gates={"min_rows": 9}), "gates: {'min_rows': 9} has a key that nobody knows"),
        (changed(gate={"min_row": 9}), "gate.min_row: 9 has a key that nobody knows; known are"),
        (changed(gate={"min_rows": 0}), "gate.min_rows: 0: Input should be greater than"),
        (changed(training={"holdout": 1.5}), "training.holdout: 1.5: a share lies"),
        (changed(training={"label": None}), "training.label: None: Input should be a valid string"),
        (changed(model="other"), "'other' lies in the folder 'late_ferry'"),
        (changed(features=[]), "features: []"),
        (changed(features=DOCUMENT["features"] * 2), "harbour, wind is there twice"),
        (
            changed(features=[{"name": "x", "kind": "number", "source": "store"}]),
            "x comes from the store, and needs view and join_key",
        ),
        (
            changed(features=[{**DOCUMENT["features"][0], "sauce": 1}]),
            "features[0].sauce: 1 has a key that nobody knows",
        ),
        (changed(retrain={"volume_rows": 5}), "volume_rows is 5, but causes lacks volume"),
        (changed(drift={"feature_thresholds": {"tide": 0.2}}), "tide is no feature"),
        ({k: v for k, v in DOCUMENT.items() if k != "training"}, "training: is missing; add it"),
        ("just text", "holds no mapping"),
    ],
)
def test_a_mistake_is_told_with_file_key_and_value(folder, document, told):
    write(folder, document)
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    assert str(caught.value).startswith(f"{folder / 'model.yaml'}: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (changed(rollout={"steps": [0.5, 0.1]}), "rollout.steps is [0.5, 0.1]: give ascending"),
        (changed(rollout={"steps": []}), "rollout.steps is []"),
        (changed(rollout={"max_step": "PT0S"}), "rollout.max_step is no time at all"),
        (changed(drift={"slice": "P5D", "window": "P7D"}), "drift.slice is 5 days, 0:00:00, which"),
        (changed(drift={"slice": "PT0S"}), "drift.slice is no time at all"),
        (changed(drift={"window": "PT0S"}), "drift.window is no time at all"),
        (changed(drift={"feature_thresholds": {"wind": 0}}), "thresholds.wind is 0: give a number"),
        (changed(retrain={"budget_period": "PT0S"}), "retrain.budget_period is no time at all"),
        (changed(training={"max_rows": 500}), "training.max_rows is 500, fewer than"),
        (changed(training={"window": "-P7D"}), "training.window is -7 days, 0:00:00: give"),
        (changed(training={"window": "P7D", "holdout": "P7D"}), "nothing would be left"),
        (changed(training={"holdout": 0.2, "max_rows": 2000}), "no version would pass"),
        (
            changed(
                features=[DOCUMENT["features"][0], {**DOCUMENT["features"][1], "join_key": "x"}]
            ),
            "wind is found by join_key x, which no request brings; name one of harbour",
        ),
        (
            changed(features=[{**DOCUMENT["features"][0], "default": 1.5}]),
            "the default of harbour is 1.5: give text",
        ),
    ],
)
def test_fault_3_8_a_policy_that_nobody_could_carry_out_is_refused_where_it_is_written(
    folder, document, told
):
    write(folder, document)
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (changed(task="ranking"), "task: 'ranking': Input should be 'binary'"),
        (changed(task="regression", classes=["a", "b"]), "a regression has none; drop it"),
        (
            changed(task="multiclass", classes=["a", "b"]),
            "give three or more, or set task to binary",
        ),
        (changed(loss={"name": "pinball"}), "a binary model takes log_loss or cost"),
        (changed(loss={"name": "cost"}), "loss.costs: give 2 rows of 2 numbers"),
        (changed(loss={"nam": "cost"}), "loss.nam: 'cost' has a key that nobody knows"),
        (
            changed(gate={"require": ["mae <= 3"]}),
            "a binary model has no measure mae; it has log_lo",
        ),
        (changed(gate={"require": ["roc_auc"]}), "gate.require: 'roc_auc' is no bound"),
        (changed(task="regression", training={"label_above": 3}), "a regression answers the label"),
        (changed(classes=["no", "yes"], training={"label_above": 3}), "drop one of both"),
    ],
)
def test_a_task_that_nobody_could_judge_is_refused(folder, document, told):
    write(folder, document)
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    assert told in str(caught.value)


def test_a_task_has_its_own_loss_and_margins_are_shares(folder):
    assert load_model(folder).target == BINARY
    write(folder, changed(task="regression", training={"label_above": None}))
    definition = load_model(folder)
    assert definition.target.loss.name == "squared_error"
    assert (
        definition.policies.gate.margin_unit == definition.policies.rollout.margin_unit == "share"
    )
    write(folder, changed(gate={"margin_unit": "loss"}, rollout={"margin_unit": "loss"}))
    policies = load_model(folder).policies
    assert policies.gate.margin_unit == policies.rollout.margin_unit == "loss"


def test_fault_3_8_each_of_several_problems_has_its_line(folder):
    write(folder, changed(rollout={"steps": [0.5]}, drift={"slice": "P5D"}))
    with pytest.raises(ModelFolderError) as caught:
        load_model(folder)
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert all(line.startswith(f"{folder / 'model.yaml'}: ") for line in lines)


def test_a_folder_without_a_pipeline_is_told(folder):
    (folder / "pipeline.py").unlink()
    with pytest.raises(ModelFolderError, match=r"pipeline\.py: cannot be read"):
        load_model(folder)


def test_the_folder_of_models_has_to_exist(tmp_path):
    with pytest.raises(ModelFolderError, match="set MODELS_DIR"):
        ModelFolders(tmp_path / "nowhere")


def test_a_dataset_finds_the_models_that_are_trained_on_it(folder):
    models = ModelFolders(folder.parent)
    assert [d.model for d in models.trained_on("ferries")] == ["late_ferry"]
    assert models.trained_on("flights") == []
    assert models.find("nobody") is None


def test_a_change_takes_effect_and_a_wrong_one_does_not(folder, caplog):
    models = ModelFolders(folder.parent)

    def change(document: dict, mtime: int) -> None:
        write(folder, document)
        os.utime(folder / "model.yaml", (mtime, mtime))

    change(changed(training={"seed": 8}), 2_000_000_000)
    definition = models.find("late_ferry")
    assert definition is not None
    assert definition.training.seed == 8
    change(changed(training={"seed": -1}), 2_000_000_010)
    assert models.find("late_ferry") == definition
    assert "training.seed: -1" in caplog.text


def test_the_digest_changes_with_the_pipeline(folder):
    before = load_model(folder).digest
    (folder / "pipeline.py").write_text("def build_pipeline(seed): return None\n")
    assert load_model(folder).digest != before


def test_fault_3_7_an_invalid_folder_costs_itself_and_is_told_once(folder, caplog):
    other = folder.parent / "broken"
    other.mkdir()
    (other / "pipeline.py").write_text("def build_pipeline(seed): ...\n")
    write(other, {"model": "broken"})
    models = ModelFolders(folder.parent)
    assert models.find("late_ferry") is not None
    assert models.find("broken") is None
    problems = models.problems()
    assert problems["late_ferry"] is None
    assert problems["broken"] is not None
    assert "features: is missing; add it" in problems["broken"]
    assert caplog.text.count("features: is missing") == 1, "not at each look"


@pytest.mark.parametrize("text", ["def build_pipeline(seed:\n", "\0"])
def test_fault_4_5_a_broken_pipeline_is_a_problem_until_it_is_mended(folder, text):
    models = ModelFolders(folder.parent)
    pipeline = folder / "pipeline.py"
    before = pipeline.read_text()
    pipeline.write_text(text)
    os.utime(pipeline, (2_000_000_000, 2_000_000_000))
    problem = models.problems()["late_ferry"]
    assert problem is not None
    assert "pipeline.py: no Python that can be read" in problem
    pipeline.write_text(before)
    os.utime(pipeline, (2_000_000_001, 2_000_000_001))
    assert models.problems()["late_ferry"] is None


@pytest.mark.parametrize(
    "text", ["model: broken\nsince: 2024-13-45\n", "[" * 3000], ids=["no date", "too deep"]
)
def test_fault_3_7_whatever_yaml_fails_on_costs_its_own_folder(folder, text):
    other = folder.parent / "broken"
    other.mkdir()
    (other / "pipeline.py").write_text("def build_pipeline(seed): ...\n")
    (other / "model.yaml").write_text(text)
    problems = ModelFolders(folder.parent).problems()
    assert problems["late_ferry"] is None
    assert "model.yaml: no YAML" in (problems["broken"] or "")


def test_fault_3_7_a_pipeline_too_deep_to_compile_costs_its_own_folder(folder):
    (folder / "pipeline.py").write_text("x = " + "-" * 100_000 + "1\n")
    problem = ModelFolders(folder.parent).problems()["late_ferry"]
    assert "pipeline.py: no Python that can be read" in (problem or "")
