"""Which rows are trained on and which are held out: the newest are held out, none leaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of the rows, in the order of their time."""

    train: NDArray[np.intp]
    holdout: NDArray[np.intp]


def by_share(times: NDArray[np.int64], share: float) -> Split:
    """Hold out the newest rows; rows of one moment are never on both sides.

    Args:
        times: one number a row, in any unit that grows with time.
        share: between 0 and 1; the smallest set of whole moments at the end that holds at least
            this share of the rows is held out.
    """
    ordered = np.sort(times)
    held = round(len(times) * share)
    if held == 0:
        return _at(times, len(times))
    return _at(times, int(np.searchsorted(ordered, ordered[len(times) - held], side="left")))


def by_period(times: NDArray[np.int64], period: int) -> Split:
    """Hold out the rows of the last `period`, which has the unit of `times`."""
    if not len(times):
        return _at(times, 0)
    ordered = np.sort(times)
    return _at(times, int(np.searchsorted(ordered, ordered[-1] - period, side="right")))


def _at(times: NDArray[np.int64], cut: int) -> Split:
    order = np.argsort(times, kind="stable")
    return Split(order[:cut], order[cut:])
