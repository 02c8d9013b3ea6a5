"""Rows of eighteen days, whose rule is turned round after the first seven."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
START = FIRST + timedelta(days=4)
CHANGE = FIRST + timedelta(days=7)
DAYS, ROWS = 18, 18 * 160


def cases() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    x, y, noise = rng.normal(size=(3, ROWS))
    asked = pd.Series([FIRST + timedelta(days=DAYS) * (n / ROWS) for n in range(ROWS)])
    sign = np.where(asked < CHANGE, 1, -1)
    level = sign * (x + y) + 0.1 * noise
    return pd.DataFrame(
        {
            "row_id": [f"r{n}" for n in range(ROWS)],
            "asked_at": asked,
            "known_at": asked + timedelta(hours=1),
            "x": x,
            "y": y,
            "sky": np.where(level > 0.6, "sun", np.where(level > -0.6, "cloud", "rain")),
            "amount": 100 + 30 * level,
            "wet": np.where(level < 0, "wet", "dry"),
        }
    )
