"""Tasks of models, as their files say now."""

import os
from pathlib import Path

from ingest.adapters.model_tasks import ModelTask, ModelTasks


def write(folder: Path, model: str, text: str, at: int = 1) -> None:
    path = folder / model / "model.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (at, at))


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    tasks = ModelTasks(tmp_path)
    assert dict(tasks) == {}
    write(tmp_path, "churn", "task: binary_classification\nmodel: churn")
    assert dict(tasks) == {"churn": ModelTask()}
    write(tmp_path, "churn", "task: multiclass\nclasses: [a, b, c]", at=2)
    assert tasks["churn"] == ModelTask(task="multiclass", classes=("a", "b", "c"))
    write(tmp_path, "churn", "task: multiclass\nclasses: [1, yes, late]", at=3)
    assert tasks["churn"] == ModelTask(task="multiclass", classes=("1", "true", "late"))


def test_a_file_that_cannot_be_read_says_nothing_of_its_model(tmp_path: Path) -> None:
    for name, text in {"a": "task: ranking", "b": "[", "c": "", "d": "- 1"}.items():
        write(tmp_path, name, text)
    assert dict(ModelTasks(tmp_path)) == dict.fromkeys("abcd")


def test_a_model_is_no_path(tmp_path: Path) -> None:
    write(tmp_path, "churn", "")
    tasks = ModelTasks(tmp_path / "churn")
    assert "../churn" not in tasks
    assert "churn\0" not in ModelTasks(tmp_path)
