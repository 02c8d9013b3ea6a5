"""From measured cost to cores, replicas and disk."""

import json
from pathlib import Path

import pytest
from bench.capacity import report
from bench.capacity.costs import UTILISATION, Phase, ceiling, gigabytes, need

ROOT = Path(__file__).parents[2]
PHASE = Phase(
    count=1000,
    seconds=10.0,
    cpu_seconds={"predictor": 0.5, "drift-windows": 0.1},
    topics={"prediction.logged": 200_000},
)


def test_cores_are_the_cost_of_one_times_the_rate() -> None:
    assert PHASE.microseconds("predictor") == pytest.approx(500)
    assert need(PHASE, "predictor", 1000).cores == pytest.approx(0.5)


@pytest.mark.parametrize(("a_second", "replicas"), [(0, 1), (1399, 1), (1401, 2), (2801, 3)])
def test_no_replica_is_planned_fuller_than_the_utilisation(a_second: float, replicas: int) -> None:
    assert UTILISATION == 0.7
    assert need(PHASE, "predictor", a_second).replicas == replicas


def test_the_ceiling_of_one_process_is_where_it_would_need_a_second_one() -> None:
    most = ceiling(PHASE, "drift-windows")
    assert most == pytest.approx(7000)
    assert need(PHASE, "drift-windows", most * 0.999).replicas == 1
    assert need(PHASE, "drift-windows", most * 1.001).replicas == 2


def test_disk_is_bytes_of_one_times_rate_days_and_copies() -> None:
    assert PHASE.bytes_each("prediction.logged") == 200
    day = gigabytes(PHASE, "prediction.logged", 1000, days=1, copies=1)
    assert day == pytest.approx(17.28)
    assert gigabytes(PHASE, "prediction.logged", 1000, days=7) == pytest.approx(day * 7 * 3)


def test_the_brokers_are_one_part_however_many_there_are() -> None:
    phase = {"count": 10, "seconds": 1.0, "topics": {}}
    cpu = {"kafka-1": 1.0, "kafka-2": 2.0, "predictor": 0.5}
    found = report.phases({"phases": {"prediction": phase | {"cpu_seconds": cpu}}})
    assert found["prediction"].cpu_seconds == {"kafka": 3.0, "predictor": 0.5}


def test_the_page_shows_the_committed_result() -> None:
    data = json.loads((ROOT / "bench/results/capacity.json").read_text())
    page = (ROOT / "docs/capacity.md").read_text()
    assert report.section(data) in page
