"""How long to wait before an outage is tried again."""

import random


class Backoff:
    """Exponential waits with full jitter.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: sleep = U(0, min(cap,
    base * 2^attempt)); the lower half is cut off so that a wait is never nothing.
    """

    def __init__(self, base: float = 0.2, cap: float = 10.0) -> None:
        """Waits between half of `base` and `cap` seconds."""
        self._base = base
        self._cap = cap
        self._attempt = 0

    def next(self) -> float:
        """Seconds to wait now; grows from call to call."""
        longest = min(self._cap, self._base * 2**self._attempt)
        self._attempt = min(self._attempt + 1, 30)
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """It worked: start over."""
        self._attempt = 0
