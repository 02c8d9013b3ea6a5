"""The cases of `glucose` and `glucose_range`: a monitor's readings from March to October 2010.

The source is `CGM.csv.gz` of the package `bokeh_sampledata`, by whose licenses it is public domain.
"""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

START = datetime(2010, 5, 15, tzinfo=UTC)
"""Predictions are asked for from here on: seven weeks are history."""
STEP = "15min"
LOW, HIGH = 70, 180  # mg/dL: below and above is out of range


def cases() -> pd.DataFrame:
    """One row a reading on the quarter of an hour that has one half an hour later."""
    spec = importlib.util.find_spec("bokeh_sampledata")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("bokeh_sampledata is not installed: install tailrace[demo]")
    path = Path(spec.submodule_search_locations[0]) / "_data" / "CGM.csv.gz"
    readings = pd.read_csv(path, parse_dates=["datetime"]).set_index("datetime")["glucose"]
    # The clock has no zone; taken as UTC, its hours are the person's.
    now = readings.tz_localize("UTC").resample(STEP).last()
    frame = pd.DataFrame(
        {
            "now": now,
            "change_15": now - now.shift(1),
            "change_60": now - now.shift(4),
            "mean_180": now.rolling(12, min_periods=6).mean(),
            "in_30": now.shift(-2),
        }
    )
    frame = frame.dropna(subset=["now", "in_30"])
    at = pd.DatetimeIndex(frame.index).as_unit("us")
    outcome = frame["in_30"]
    return frame.reset_index(drop=True).assign(
        reading_id=at.strftime("%Y%m%dT%H%M"),
        read_at=at,
        known_at=at + pd.Timedelta(minutes=30),
        hour=at.hour.astype("int64"),  # pyright: ignore[reportAttributeAccessIssue]
        range_in_30=np.where(outcome < LOW, "low", np.where(outcome > HIGH, "high", "in_range")),
    )
