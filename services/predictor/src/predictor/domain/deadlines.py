"""How long a request may take: what its caller asks for, within what the service allows."""

import math
from dataclasses import dataclass

from predictor.domain.errors import BadRequestError, DeadlineError, shown

HEADER = "X-Request-Timeout"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds from a request's arrival to its deadline; see `PredictorSettings`."""

    default: float
    """Where the caller asks for nothing."""
    maximum: float
    """Where the caller asks for more."""

    def of(self, asked: float | None) -> float:
        """The seconds that a request gets."""
        return self.default if asked is None else min(asked, self.maximum)


def seconds(text: str) -> float:
    """What a caller asks for, in seconds.

    Raises:
        BadRequestError: it is no number above 0.
    """
    try:
        asked = float(text)
    except ValueError:
        asked = math.nan
    # float() also reads "inf", "1_0" and blanks.
    if not (0.0 < asked < math.inf) or "_" in text:
        raise BadRequestError(
            "invalid_request",
            f"{HEADER} is {shown(text)}: send seconds above 0, e.g. 0.25",
            HEADER,
        )
    return asked


def too_late(took: float) -> DeadlineError:
    """The refusal of a request that waited for so many seconds, longer than it may."""
    return DeadlineError(
        "deadline",
        f"no answer within {took:.3g} s, which is the deadline of this request: try again in a"
        f" moment, or send a longer {HEADER}",
    )
