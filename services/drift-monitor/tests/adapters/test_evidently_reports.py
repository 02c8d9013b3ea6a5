"""Evidently itself, on small frames; the import takes seconds."""

import json
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest

from drift_monitor.adapters.evidently_reports import EvidentlyReports
from drift_monitor.domain.columns import Column
from drift_monitor.ports import ReportFailedError

pytestmark = pytest.mark.integration

COLUMNS = [Column("distance", True), Column("carrier", False)]
THRESHOLDS = {"distance": 0.1, "carrier": 0.2}


def frame(mean: float, carriers: list[str], rows: int = 600) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(1)
    distance = generator.normal(mean, 1.0, rows)
    distance[::10] = np.nan
    return {"distance": distance, "carrier": np.array(carriers * (rows // len(carriers)))}


@pytest.fixture
def reports(tmp_path):
    return EvidentlyReports(tmp_path)


def test_columns_that_stand_still_and_columns_that_move(reports):
    same = reports.compare(COLUMNS, frame(0, ["UA", "AA"]), frame(0, ["AA", "UA"]), THRESHOLDS)
    assert same.values["distance"] < 0.05
    assert same.values["carrier"] < 0.05
    moved = reports.compare(COLUMNS, frame(0, ["UA", "AA"]), frame(9, ["B6", "DL"]), THRESHOLDS)
    assert moved.values["distance"] == pytest.approx(0.83, abs=0.01)
    assert moved.values["carrier"] == pytest.approx(0.83, abs=0.01)


def test_the_same_columns_give_the_same_report(reports):
    one, two = (
        reports.compare(COLUMNS, frame(0, ["UA", "AA"]), frame(1, ["UA", "B6"]), THRESHOLDS)
        for _ in range(2)
    )
    assert one.values == two.values


def test_reports_are_kept_as_json_and_on_demand_as_a_page(reports, tmp_path):
    report = reports.compare(COLUMNS, frame(0, ["UA"]), frame(0, ["UA"]), THRESHOLDS)
    uri = report.save("flight_delay/1/w", html=False)
    assert Path(urlparse(uri).path) == tmp_path / "flight_delay/1/w.json"
    assert json.loads((tmp_path / "flight_delay/1/w.json").read_text())["metrics"]
    assert report.save("flight_delay/1/w", html=True).endswith("w.html")
    assert "<html" in (tmp_path / "flight_delay/1/w.html").read_text()[:2000].lower()
    assert report.save("flight_delay/1/w", html=False) == uri
    assert len(list((tmp_path / "flight_delay/1").iterdir())) == 2, "a repeat replaces the file"


def test_evidently_shows_the_distance_that_is_judged(reports, tmp_path):
    report = reports.compare(COLUMNS, frame(0, ["UA", "AA"]), frame(0.5, ["UA"]), THRESHOLDS)
    report.save("flight_delay/1/w", html=False)
    found = json.loads((tmp_path / "flight_delay/1/w.json").read_text())["metrics"]
    shown = {metric["config"]["column"]: metric["value"] for metric in found}
    assert shown == pytest.approx(report.values)


def test_no_report_leaves_its_folder(reports):
    report = reports.compare(COLUMNS, frame(0, ["UA"]), frame(0, ["UA"]), THRESHOLDS)
    with pytest.raises(OSError, match="leaves the folder"):
        report.save("flight_delay/../../../out", html=False)


def test_fault_6_8_a_column_that_cannot_be_compared_fails_alone_and_is_named(reports):
    empty = {"distance": np.full(10, np.nan), "carrier": np.array(["UA"] * 10)}
    report = reports.compare(COLUMNS, frame(0, ["UA"]), empty, THRESHOLDS)
    assert set(report.values) == {"carrier"}
    assert set(report.failed) == {"distance"}
    assert report.save("flight_delay/1/w", html=True).endswith("w.html")


def test_columns_of_which_none_can_be_compared_are_an_error_of_the_report(reports):
    empty = {"distance": np.full(10, np.nan), "carrier": np.array(["UA"] * 10)}
    with pytest.raises(ReportFailedError, match="distance"):
        reports.compare(COLUMNS[:1], frame(0, ["UA"]), empty, THRESHOLDS)


def test_fault_6_8_a_range_under_the_spacing_of_floats_is_compared_and_the_page_drawn(reports):
    tight = {**frame(0, ["UA"]), "distance": 1e16 + 2.0 * np.arange(600) % 4}
    report = reports.compare(COLUMNS, tight, tight, THRESHOLDS)
    assert report.values["distance"] == 0
    assert report.save("flight_delay/1/w", html=True).endswith("w.html")


def test_a_page_that_cannot_be_drawn_leaves_the_numbers(reports, tmp_path):
    report = reports.compare(COLUMNS, frame(0, ["UA"]), frame(0, ["UA"]), THRESHOLDS)
    report._page = lambda: {}["plot"]
    with pytest.raises(ReportFailedError, match="plot"):
        report.save("flight_delay/1/w", html=True)
    assert (tmp_path / "flight_delay/1/w.json").exists()


def test_fault_1_7_a_category_ends_no_script_and_the_page_loads_nothing(reports, tmp_path):
    evil = "</script><script>alert(1)</script>"
    report = reports.compare(COLUMNS, frame(0, ["UA", evil]), frame(0, ["UA", evil]), THRESHOLDS)
    report.save("flight_delay/1/w", html=True)
    page = (tmp_path / "flight_delay/1/w.html").read_text()
    assert "<script>alert" not in page
    assert "alert(1)" in page, "it is shown"
    head = page.partition("<head>")[2]
    assert head.startswith(
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\''
    )
