from datetime import datetime, timedelta

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Feast

FLIGHT = {
    "flight_id": "UA1545-EWR-20130101",
    "scheduled_departure": "2013-01-01T10:15:00+00:00",
    "landed_at": "2013-01-01T14:30:00+00:00",
    "carrier": "UA",
    "flight_number": 1545,
    "origin": "EWR",
    "dest": "IAH",
    "hour": 5,
    "weekday": 1,
    "distance": 1400,
    "scheduled_minutes": 244,
    "arrival_delay": 11.0,
}
REPORT = {
    "origin": "EWR",
    "observed_at": "2013-01-01T06:00:00+00:00",
    "temp": 39.02,
    "dewp": 26.06,
    "humid": 59.37,
    "wind_dir": 270.0,
    "wind_speed": 10.35702,
    "precip": 0.0,
    "pressure": 1012.0,
    "visib": 10.0,
}


def faults(contracts, dataset, record):
    contract = contracts[dataset]
    time = datetime.fromisoformat(record[contract.event_time_column])
    found = contract.check(record[contract.entity_column], time, record)[1]
    return [(fault.column, fault.rule) for fault in found]


def test_a_version_is_judged_on_the_newest_week(definition):
    assert definition.model == "flight_delay"
    assert definition.training.holdout == timedelta(days=7)
    assert definition.policies.retrain.cooldown == timedelta(days=10)


def test_the_features_are_the_columns_of_the_pipeline_in_order(definition, pipeline_module):
    assert [(f.name, f.kind) for f in definition.features] == [
        *((name, "category") for name in pipeline_module.CATEGORIES),
        *((name, "number") for name in pipeline_module.NUMBERS),
    ]


def test_a_missing_weather_report_never_refuses_a_request(definition):
    stored = [f for f in definition.features if f.source == "store"]
    assert stored
    assert all(not f.required and f.default is not None for f in stored)


def test_what_is_trained_on_are_columns_of_the_flights(definition, contracts):
    plan = definition.training
    requested = {f.name for f in definition.features if f.source == "request"}
    assert {plan.label, plan.feature_time, *requested} <= contracts[plan.dataset].names


def test_the_stored_features_are_the_fields_of_the_view_and_columns_of_the_weather(
    definition, contracts, features_module
):
    view = features_module.weather_by_origin
    stored = {f.name for f in definition.features if f.source == "store"}
    assert {field.name for field in view.schema} - {"origin"} == stored
    assert {f.view for f in definition.features if f.view} == {view.name}
    assert {f.join_key for f in definition.features if f.join_key} == {"origin"}
    assert stored <= contracts["weather"].names
    assert contracts["weather"].feature_view == view.name


def test_the_view_reads_the_table_of_the_weather_in_the_lake(features_module):
    assert features_module.weather_by_origin.batch_source.path == "s3://lake/weather"


def test_a_single_watched_feature_may_call_a_drift(definition):
    watched = [f.name for f in definition.features if f.watch]
    drift = definition.policies.drift
    assert 1 / len(watched) >= drift.drift_share
    # The general threshold is for the scores alone.
    assert set(drift.feature_thresholds) == set(watched)


@pytest.mark.parametrize(("dataset", "record"), [("flights", FLIGHT), ("weather", REPORT)])
def test_a_real_record_keeps_its_contract(contracts, dataset, record):
    assert faults(contracts, dataset, record) == []
    assert contracts[dataset].names == set(record)


def test_silent_instruments_keep_the_contract(contracts):
    report = {"origin": "EWR", "observed_at": REPORT["observed_at"], "temp": None}
    assert faults(contracts, "weather", report) == []


@pytest.mark.parametrize(
    ("dataset", "change", "column", "rule"),
    [
        # Newark, 12 February 2013, 03:00 local time: it is in the data.
        ("weather", {"wind_speed": 1048.36058}, "wind_speed", "maximum"),
        ("weather", {"origin": "BOS"}, "origin", "allowed"),
        ("flights", {"arrival_delay": None}, "arrival_delay", "required"),
        ("flights", {"hour": 24}, "hour", "maximum"),
        ("flights", {"distance": "1400"}, "distance", "type"),
        ("flights", {"tail": "N14228"}, "tail", "unknown_column"),
    ],
)
def test_a_broken_record_breaks_the_contract(contracts, dataset, change, column, rule):
    record = {**(FLIGHT if dataset == "flights" else REPORT), **change}
    assert faults(contracts, dataset, record) == [(column, rule)]
