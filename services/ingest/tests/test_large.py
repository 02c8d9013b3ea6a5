"""Records that break their contract in thousands of ways, and wide contracts."""

import json

import pytest

from event_schemas import DataArrived, DataQuarantined
from ingest.domain.contract import Column, Contract
from servicekit.testing.metrics import metric_value

WIDE = 5_000


@pytest.mark.parametrize(
    "columns",
    [
        {f"pivoted_{i}": i for i in range(WIDE)},
        {"\u0001" * 50_000: "\u0001" * 50_000},
        {str(i) + "\u20ac" * 1000: "\u0001" * 200 for i in range(200)},
    ],
    ids=["many", "long", "long and many"],
)
def test_fault_6_1_unknown_columns_without_end_are_told_in_an_event_that_fits(
    bus, receive, start, rows_of, columns
):
    receive(0)
    receive(1, **columns)
    loop = start()
    assert loop.step() == 2
    start()  # it tells of the newest commits again
    body: DataQuarantined = bus.events(DataQuarantined)[-1].body
    assert len(body.reasons) + body.reasons_left_out == min(len(columns), 201)
    (row,) = rows_of("quarantine/weather")
    assert len(json.loads(row["record"])) > len(columns)
    assert len(json.dumps(row["reasons"])) < 400_000
    if len(columns) == WIDE:
        told = row["reasons"][-1]
        assert (told["rule"], told["value"]) == ("unknown_columns", f"{WIDE - 200} more")


def test_fault_6_1_reasons_beyond_the_limit_are_counted(bus, receive, start):
    before = metric_value("ingest_event_entries_left_out_total", field="reasons") or 0
    for i in range(3):
        receive(i, **{f"c{i}_{n}": n for n in range(100)})
    start().step()
    (event,) = bus.events(DataQuarantined)
    assert (len(event.body.reasons), event.body.reasons_left_out) == (200, 100)
    after = metric_value("ingest_event_entries_left_out_total", field="reasons")
    assert after - before == 100


def test_fault_6_1_a_note_that_an_earlier_release_wrote_too_long_does_not_end_the_start(
    bus, receive, start, monkeypatch
):
    receive(0, **{f"pivoted_{i}": i for i in range(WIDE)})
    loop = start()
    with monkeypatch.context() as patch:
        patch.setattr(loop._sink, "_max_entries", WIDE)
        patch.setattr("ingest.domain.bounded.MAX_BYTES", 10**9)
        loop.step()
    start()
    body: DataQuarantined = bus.events(DataQuarantined)[-1].body
    assert (len(body.reasons), body.reasons_left_out) == (200, WIDE - 200)


def test_fault_6_1_a_wide_contract_has_a_profile_that_fits(bus, receive, start, monkeypatch):
    columns = tuple(Column(f"c{i}", "string") for i in range(WIDE))
    wide = Contract("landings", columns, "1", unknown_columns="drop")
    loop = start()
    loop._sink._contracts = {"landings": wide}
    receive(0, dataset="landings")
    monkeypatch.setattr(loop._sink._tables["landings"]._table, "_schema", _schema(wide))
    loop.step()
    (event,) = bus.events(DataArrived)
    assert (len(event.body.profile), event.body.profile_left_out) == (200, WIDE - 200)


def _schema(contract):
    from ingest.adapters.delta_lake import DeltaLake

    return DeltaLake("unused").data(contract)._schema
