"""What the models of a folder answer, as far as their labels need it."""

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import BaseModel, ValidationError

from event_schemas.task import ClassNames, Task


class ModelTask(BaseModel):
    """Task and classes, as model.yaml names them; the trainer checks the whole of it."""

    task: Task = "binary"
    classes: ClassNames = ()


class ModelTasks(Mapping[str, ModelTask | None]):
    """Tasks by model, read again when a file has changed; None where a file cannot be read."""

    def __init__(self, models_dir: Path) -> None:
        self._models_dir = models_dir
        self._lock = threading.Lock()
        self._read: dict[Path, tuple[tuple[int, int], ModelTask | None]] = {}

    def __getitem__(self, model: str) -> ModelTask | None:
        path = self._models_dir / model / "model.yaml"
        if path.parent.parent != self._models_dir:
            raise KeyError(model)
        try:
            stat = path.stat()
        except (OSError, ValueError):
            raise KeyError(model) from None
        stamp = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            known = self._read.get(path)
            if known is None or known[0] != stamp:
                known = self._read[path] = (stamp, _task_of(path))
        return known[1]

    def __iter__(self) -> Iterator[str]:
        return (path.parent.name for path in self._models_dir.glob("*/model.yaml"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _task_of(path: Path) -> ModelTask | None:
    try:
        return ModelTask.model_validate(yaml.safe_load(path.read_bytes()))
    except (OSError, yaml.YAMLError, ValidationError, ValueError, RecursionError):
        return None
