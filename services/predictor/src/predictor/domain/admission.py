"""Whether one more request may come in, when much is under way already."""

import math
from typing import Literal

Verdict = Literal["admitted", "over_share", "full"]


def admitted(*, wanted: int, of_model: int, under_way: int, limit: int, share: float) -> Verdict:
    """Whether a model may have more predictions under way.

    A model may grow while it has fewer under way than a multiple of the places that are still free;
    the multiple is chosen so that a model that is alone busy comes to its share, two come to less
    each, and some room is always left for a model that has nothing under way. Switches divide their
    buffers among ports by the same rule (Choudhury and Hahne, 1998).

    Args:
        wanted: predictions that want to come in.
        of_model: under way for their model.
        under_way: of all models.
        limit: most that may be under way.
        share: of the limit that one model may take while all others are idle; 1 for all of it.
    """
    free = limit - under_way
    if wanted > free:
        return "full"
    multiple = math.inf if share >= 1.0 else share / (1.0 - share)
    # What is wanted has come in then: a request of many is to find room as well.
    if of_model and of_model + wanted > multiple * (free - wanted):
        return "over_share"
    return "admitted"
