"""A training that ends without a model, as the business expects it now and then."""

from typing import Literal

Stage = Literal["read", "prepare", "fit", "export", "evaluate", "register"]


class TrainingError(Exception):
    """No model can come out of this training; trying again would not help.

    It becomes an event, with the stage and the text; the text names what to mend.
    """

    def __init__(self, stage: Stage, text: str) -> None:
        super().__init__(stage, text)
        self.stage: Stage = stage
        self.text = text

    def __str__(self) -> str:
        return self.text
