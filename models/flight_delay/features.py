"""The stored features of `flight_delay`: the last weather report at the departure airport.

Reports are pushed to the online store as they arrive, and training reads them from the lake as
they were known at each flight's scheduled departure.
"""

from __future__ import annotations

import os
from datetime import timedelta

from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.data_format import DeltaFormat
from feast.types import Float64

origin = Entity(
    name="origin",
    join_keys=["origin"],
    value_type=ValueType.STRING,
    description="Departure airport (IATA code).",
)

weather_table = FileSource(
    name="weather_table",
    path=f"{os.environ.get('LAKE_URI', '.tailrace/lake').rstrip('/')}/weather",
    file_format=DeltaFormat(),
    timestamp_field="event_time",
)

weather_reports = PushSource(name="weather_reports", batch_source=weather_table)

weather_by_origin = FeatureView(
    name="weather_by_origin",
    entities=[origin],
    # Feast does not enforce it on online reads; `max_age_seconds` in model.yaml does.
    ttl=timedelta(hours=6),
    schema=[
        Field(name="temp", dtype=Float64, description="°F"),
        Field(name="dewp", dtype=Float64, description="°F"),
        Field(name="humid", dtype=Float64, description="%"),
        Field(name="wind_speed", dtype=Float64, description="mph"),
        Field(name="precip", dtype=Float64, description="inches in the hour"),
        Field(name="pressure", dtype=Float64, description="hPa"),
        Field(name="visib", dtype=Float64, description="miles"),
    ],
    source=weather_reports,
    description="The last hourly weather report at the departure airport.",
)
