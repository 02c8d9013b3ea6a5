"""How a challenger takes over."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Policy:
    """The rollout policy that a version brought along; meanings as in its event."""

    steps: tuple[float, ...]
    shadow_labelled: int
    shadow_share: float
    alpha: float
    loss_margin: float
    error_margin: float
    min_labelled: int
    max_step: timedelta
    probation_labelled: int
    probation_margin: float
    margin_unit: Literal["loss", "share"] = "loss"
    loss: str = "log_loss"
    """Name of the loss that arms are measured in."""

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        if not self.steps or not ascending or self.steps[0] <= 0 or self.steps[-1] != 1:
            raise ValueError(
                f"rollout.steps is {list(self.steps)}: give ascending weights above 0, the last 1"
            )

    def after(self, weight: float) -> float:
        """Return the weight of the step that follows."""
        return next(step for step in self.steps if step > weight)
