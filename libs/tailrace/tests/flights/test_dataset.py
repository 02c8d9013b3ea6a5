import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tailrace.flights.dataset import load
from tailrace.flights.replay import Script

SCORING = Path(__file__).parents[4] / "docs" / "batch-scoring.md"

FLIGHTS = """\
year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,\
tailnum,origin,dest,air_time,distance,hour,minute,time_hour
2013,7,4,2350,2345,5,340,344,-4,B6,839,N558JB,JFK,BQN,190,1576,23,45,2013-07-05T03:00:00Z
2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z
2013,1,1,,530,,,845,,AA,1141,,JFK,MIA,,1089,5,30,2013-01-01T10:00:00Z
2013,7,4,2130,1830,180,35,2100,215,DL,31,N705TW,JFK,LAX,330,2475,18,30,2013-07-04T22:00:00Z
2013,1,1,516,515,1,816,800,16,WN,9,N1,EWR,MDW,120,711,5,15,2013-01-01T10:00:00Z
2013,1,1,515,515,0,815,800,15,WN,7,N2,EWR,MDW,120,711,5,15,2013-01-01T10:00:00Z
"""
WEATHER = """\
origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,\
time_hour
JFK,2013,1,1,4,39.9,26.06,57.33,260,13.8,,0,1011.9,10,2013-01-01T09:00:00Z
EWR,2013,1,1,4,39.0,26.06,59.37,270,10.4,,0,,10,2013-01-01T09:00:00Z
EWR,2013,1,1,3,38.5,26.06,59.37,270,10.4,,0,1012,10,2013-01-01T08:00:00Z
EWR,2012,12,31,23,38.5,26.06,59.37,270,10.4,,0,1012,10,2013-01-01T04:00:00Z
"""
AIRPORTS = """\
faa,name,lat,lon,alt,tz,dst,tzone
IAH,Houston,29.98,-95.34,97,-6,A,America/Chicago
MDW,Midway,41.78,-87.75,620,-6,A,America/Chicago
MIA,Miami,25.79,-80.29,8,-5,A,America/New_York
LAX,Los Angeles,33.94,-118.4,126,-8,A,America/Los_Angeles
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, text in (("flights", FLIGHTS), ("weather", WEATHER), ("airports", AIRPORTS)):
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def one(source: Path, flight_id: str) -> dict[str, Any]:
    rows: Any = load(source).flights.to_dict("records")
    return next(row for row in rows if row["flight_id"] == flight_id)


def test_flights_come_in_the_order_of_their_scheduled_departure(source):
    flights = load(source).flights
    assert flights["flight_id"].tolist() == [
        "UA1545-EWR-20130101",
        "WN7-EWR-20130101",
        "WN9-EWR-20130101",
        "AA1141-JFK-20130101",
        "DL31-JFK-20130704",
        "B6839-JFK-20130704",
    ]
    assert flights["scheduled_departure"].is_monotonic_increasing


def test_a_landing_is_reported_in_utc_across_time_zones(source):
    flight = one(source, "UA1545-EWR-20130101")
    assert flight["scheduled_departure"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert flight["scheduled_minutes"] == 244
    assert flight["landed_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)  # 08:30 in Houston


def test_a_landing_after_midnight_and_hours_late_is_on_the_next_day(source):
    flight = one(source, "DL31-JFK-20130704")
    assert flight["landed_at"] == datetime(2013, 7, 5, 7, 35, tzinfo=UTC)  # 00:35 in Los Angeles
    assert flight["delayed"]


def test_a_destination_without_summer_time_keeps_its_clock(source):
    flight = one(source, "B6839-JFK-20130704")  # Puerto Rico, missing in airports.csv
    assert flight["scheduled_minutes"] == 239
    assert flight["landed_at"] == datetime(2013, 7, 5, 7, 40, tzinfo=UTC)


def test_hour_and_weekday_are_those_of_new_york(source):
    flight = one(source, "B6839-JFK-20130704")
    assert (flight["hour"], flight["weekday"]) == (23, 3)  # a Thursday there, Friday in UTC


def test_a_flight_is_late_from_the_sixteenth_minute(source):
    assert not one(source, "WN7-EWR-20130101")["delayed"]
    assert one(source, "WN9-EWR-20130101")["delayed"]


def test_a_cancelled_flight_is_asked_about_but_never_lands(source):
    cancelled = one(source, "AA1141-JFK-20130101")
    assert all(pd.isna(cancelled[name]) for name in ("landed_at", "arrival_delay", "delayed"))
    assert "AA1141-JFK-20130101" not in load(source).landed["flight_id"].tolist()


def test_outcomes_come_in_the_order_of_the_landings(source):
    landed = load(source).landed
    assert landed["landed_at"].is_monotonic_increasing
    assert landed["flight_id"].iloc[0] == "WN7-EWR-20130101"  # left with, and landed before, UA1545
    assert len(landed) == 5


def test_weather_comes_in_the_order_of_observation_with_gaps_left_missing(source):
    weather = load(source).weather
    assert weather["observed_at"].is_monotonic_increasing
    assert weather["origin"].tolist() == ["EWR", "EWR", "EWR", "JFK"]
    assert weather["pressure"].isna().tolist() == [False, False, True, False]


def test_a_stretch_begins_with_the_weather_of_the_six_hours_before(source):
    start = datetime(2013, 1, 1, 10, 30, tzinfo=UTC)
    stretch = load(source, start, start + timedelta(minutes=1))
    assert stretch.flights["flight_id"].tolist() == ["AA1141-JFK-20130101"]
    assert stretch.weather["observed_at"].min() == datetime(2013, 1, 1, 8, tzinfo=UTC)


def test_the_end_is_not_part_of_the_stretch(source):
    end = datetime(2013, 1, 1, 10, 30, tzinfo=UTC)
    assert len(load(source, None, end).flights) == 3


def test_a_bound_without_a_time_zone_is_refused(source):
    naive = datetime(2013, 1, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="start=2013-01-01T00:00:00 has no time zone"):
        load(source, naive)


def test_an_unknown_destination_is_reported(source):
    (source / "airports.csv").write_text(AIRPORTS.replace("LAX", "XXX"))
    with pytest.raises(ValueError, match=r"dest=\['LAX'\]"):
        load(source)


def test_a_missing_file_is_reported(source):
    (source / "weather.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither weather\.csv nor weather\.csv\.zip"):
        load(source)


def test_times_are_microseconds_in_utc(source):
    loaded = load(source)
    for column in ("scheduled_departure", "landed_at"):
        assert str(loaded.flights[column].dtype) == "datetime64[us, UTC]"
    assert str(loaded.weather["observed_at"].dtype) == "datetime64[us, UTC]"


def test_the_documented_scoring_command_names_columns_that_flights_have(source):
    _, command = SCORING.read_text().split("tailrace score ", 1)
    words = shlex.split(command.split("\n\n", 1)[0].replace("\\\n", ""))
    named = {
        value
        for option, value in zip(words[::2], words[1::2], strict=True)
        if option.endswith("-column") or option == "--keep"
    }
    year = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)
    landing = Script(load(source), "run").landings(*year)[0]
    assert named
    assert named <= landing["record"].keys()
