"""Training in the process that asks for it, for notebooks and tests."""

from trainer.adapters.delta_history import HistorySource
from trainer.ports import TrainingResult, TrainingTask


class InlineTraining:
    """Trains where it is called."""

    def __init__(self, source: HistorySource) -> None:
        self._source = source

    def train(self, task: TrainingTask) -> TrainingResult:
        """See `Training.train`."""
        from trainer.adapters.sklearn_training import train

        return train(task, self._source)
