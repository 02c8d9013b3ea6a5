"""`tailrace score` over real Delta tables and ONNX files: what it writes, and what it refuses."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from services.predictor.tests.lab import Features, Json, Lab

from event_schemas import ModelTrained
from predictor.adapters.features.feast_registry import Column, Source
from predictor.batch import __main__ as command
from predictor.domain.errors import LoadError, ScoreError
from predictor.domain.features import Ref
from predictor.settings import ScoreSettings

AT = datetime(2013, 7, 1, 10, tzinfo=UTC)
CARRIERS, ORIGINS = ("UA", "AA", "B6"), ("EWR", "JFK", "LGA")


class Registry:
    """Knows one view, the weather by origin, whose table calls the temperature `t`."""

    def warm_up(self) -> None: ...

    def columns(self, lookups: Mapping[str, Sequence[Ref]]) -> dict[str, Column]:
        return {key: Column("airport", "STRING") for key in lookups}

    def source(self, view: str) -> Source:
        assert view == "weather"
        return Source("weather", {"t": "temperature"})


class Bench:
    """A lake beside the service in memory."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.lake = folder / "lake"
        self.settings = ScoreSettings(lake_uri=str(self.lake), feast_repo=str(folder))

    def table(self, name: str, rows: Sequence[Mapping[str, Any]], **options: Any) -> None:
        write_deltalake(str(self.lake / name), pa.Table.from_pylist(list(rows)), **options)

    def flights(self, count: int, **change: Any) -> list[Json]:
        rows = [
            {
                "event_id": f"e{n}",
                "event_time": AT + timedelta(hours=n),
                "flight": f"F{n % 17}",
                "carrier": CARRIERS[n % 3],
                "origin": ORIGINS[n // 3 % 3],
                "hour": float(n % 24) / 10 - 1,
                **change,
            }
            for n in range(count)
        ]
        self.table("flights", rows, mode="overwrite", schema_mode="overwrite")
        return rows

    def weather(self) -> None:
        rows = [
            {"event_id": f"w{n}", "event_time": at, "airport": airport, "t": value}
            for n, (at, airport, value) in enumerate(
                [
                    (AT - timedelta(hours=1), "EWR", 1.0),
                    (AT + timedelta(hours=3), "EWR", 2.0),
                    (AT + timedelta(hours=3), "EWR", 3.0),  # of one moment: the later id
                    (AT - timedelta(hours=9), "JFK", 9.0),  # too old from the start
                    (AT, None, 7.0),
                ]
            )
        ]
        self.table("weather", rows)

    def score(self, *words: str, output: str = "scored") -> int:
        arguments = ["--model", "flight_delay", "--input", "flights", "--output", output, *words]
        chosen = command._parser().parse_args(arguments)
        return command.score(chosen, self.settings, self.lab.bus, self.lab.artifacts)

    def scored(self, output: str = "scored") -> list[Json]:
        rows = DeltaTable(str(self.lake / output)).to_pyarrow_table().to_pylist()
        return sorted(rows, key=lambda row: int(row["row_id"][1:]))


@pytest.fixture
def bench(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(command, "FeastRegistry", lambda *_: Registry())
    return Bench(lab, tmp_path)


@pytest.fixture
def champion(bench: Bench) -> Bench:
    """A champion with features of the request alone, and twenty flights."""
    bench.lab.announce(bench.lab.step(0, bench.lab.version(1)))
    bench.flights(20)
    return bench


def test_a_row_is_scored_as_a_request_of_its_moment_would_be_answered(
    bench: Bench, requested: Features, stored: Features
) -> None:
    lab = bench.lab
    lab.announce(lab.step(0, lab.version(1, requested + stored)))
    rows = bench.flights(12)
    bench.weather()
    lab.pass_time(timedelta(days=1))  # no request may lie in the future
    assert bench.score("--entity-column", "flight", "--keep", "carrier") == 0
    known = [(AT - timedelta(hours=1), 1.0), (AT + timedelta(hours=3), 3.0)]
    for row, found in zip(rows, bench.scored(), strict=True):
        moment = row["event_time"]
        for at, value in known:
            if at <= moment:
                lab.features.put("origin", "EWR", ("weather", "temperature"), value, at)
        answer = lab.post(
            {
                "model": "flight_delay",
                "entity_id": row["flight"],
                "features": {name: row[name] for name in ("carrier", "origin", "hour")},
                "event_time": moment.isoformat(),
            }
        ).json()
        assert found["probability"] == answer["score"]
        assert found["prediction"] == answer["prediction"]
        assert (found["version"], found["arm"]) == ("1", "champion")
        assert (found["entity_id"], found["event_time"]) == (row["flight"], moment)
        assert found["carrier"] == row["carrier"]
        assert found["error"] is None


def test_values_that_were_not_known_then_are_counted_and_told(
    bench: Bench, requested: Features, stored: Features, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = bench.lab
    lab.announce(lab.step(0, lab.version(1, requested + stored)))
    bench.flights(9)
    bench.weather()
    assert bench.score() == 0
    told = capsys.readouterr().err
    assert "temp was absent for 3 rows" in told  # LGA
    assert "temp was stale for 4 rows" in told  # JFK, and EWR at noon, by a report of nine o'clock


def test_the_same_run_is_written_once_and_gives_the_same_ids(
    champion: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert champion.score() == 0
    first = champion.scored()
    assert champion.score() == 0
    assert champion.score("--mode", "append") == 0
    assert champion.scored() == first
    assert "nothing to do" in capsys.readouterr().err
    assert champion.score("--batch-rows", "7", output="other") == 0
    assert champion.scored("other") == first
    assert len({row["prediction_id"] for row in first}) == 20


def test_an_output_that_is_there_is_left_alone_unless_told_otherwise(champion: Bench) -> None:
    champion.score()
    first = champion.scored()
    with pytest.raises(ScoreError, match="--mode append or --mode overwrite"):
        champion.score("--since", "2013-07-01T20:00Z")
    assert champion.scored() == first
    champion.score("--since", "2013-07-01T20:00Z", "--mode", "append")
    assert len(champion.scored()) == 30
    champion.score("--until", "2013-07-01T12:00Z", "--mode", "overwrite")
    assert [row["row_id"] for row in champion.scored()] == ["e0", "e1"]
    champion.table("someone", [{"a": 1}])
    with pytest.raises(LoadError, match="is no table of predictions"):
        champion.score("--mode", "overwrite", output="someone")
    with pytest.raises(ScoreError, match="is the table that is read"):
        champion.score(output="flights")


def test_a_row_that_cannot_be_scored_stops_all_or_is_written_with_its_error(
    champion: Bench,
) -> None:
    rows = champion.flights(20)
    rows[13]["carrier"] = None
    rows[17]["hour"] = 1e39
    champion.table("flights", rows, mode="overwrite")
    with pytest.raises(ScoreError) as refused:
        champion.score("--batch-rows", "10")
    assert "2 of the first 20 rows cannot be scored, e.g. event_id=e13" in str(refused.value)
    assert "feature 'carrier' (category) is required" in str(refused.value)
    assert not DeltaTable.is_deltatable(str(champion.lake / "scored"))
    assert champion.score("--max-errors", "2") == 0
    bad = {row["row_id"]: row for row in champion.scored() if row["error"]}
    assert bad.keys() == {"e13", "e17"}
    assert bad["e17"]["error"].startswith("out_of_range: feature 'hour' is 1e+39")
    assert all(row["probability"] is None and row["prediction"] is None for row in bad.values())


def test_a_column_that_is_missing_is_named_with_what_to_do(champion: Bench) -> None:
    rows = champion.flights(3)
    for row in rows:
        row["airline"] = row.pop("carrier")
        del row["hour"]
    champion.table("flights", rows, mode="overwrite", schema_mode="overwrite")
    with pytest.raises(ScoreError, match=r"lacks carrier, which version 1 of flight_delay takes"):
        champion.score()
    assert champion.score("--column", "carrier=airline") == 0
    for words, remedy in (
        (("--id-column", "key"), "--id-column key: .* has no such column; it has airline"),
        (("--keep", "key"), "--keep key"),
        (("--column", "speed=airline"), "takes no such feature"),
    ):
        with pytest.raises(ScoreError, match=remedy):
            champion.score(*words, output="more")
    with pytest.raises(LoadError, match="name it with --time-column"):
        champion.score("--time-column", "departure")
    with pytest.raises(LoadError, match=r"there is no Delta table .*/nowhere"):
        champion.score("--input", "nowhere")


def test_stored_features_may_be_columns_of_the_table(
    bench: Bench, requested: Features, stored: Features
) -> None:
    lab = bench.lab
    lab.announce(lab.step(0, lab.version(1, requested + stored)))
    bench.flights(4, reading=0.5)
    assert bench.score("--features", "table", "--column", "temp=reading") == 0
    assert bench.score("--features", "table", output="without") == 0  # it has a way without
    higher = zip(bench.scored(), bench.scored("without"), strict=True)
    assert all(one["probability"] > other["probability"] for one, other in higher)


def test_arms_are_those_of_requests_and_a_version_can_be_named(champion: Bench) -> None:
    lab = champion.lab
    one, two, three = (lab.version(n, bias=n / 10) for n in (1, 2, 3))
    with pytest.raises(ScoreError, match="has no challenger at the moment"):
        champion.score("--arm", "challenger")
    lab.bus.publish(ModelTrained(model="flight_delay", version=three, data=(), metrics=()))
    lab.announce(lab.step(1, one, two, weight=0.5))
    champion.score("--arm", "sticky", "--entity-column", "flight")
    route = lab.follower.routes.of("flight_delay")
    found = champion.scored()
    assert {row["arm"] for row in found} == {"champion", "challenger"}
    for row in found:
        arm = route.arm(row["entity_id"])
        assert (row["arm"], row["version"]) == (arm.name, arm.version.version)
    champion.score("--arm", "challenger", output="challenger")
    assert {row["version"] for row in champion.scored("challenger")} == {"2"}
    champion.score("--version", "3", output="three")
    assert {(row["version"], row["arm"]) for row in champion.scored("three")} == {("3", "none")}
    with pytest.raises(ScoreError, match=r"--version 9: flight_delay has no such version .* has 3"):
        champion.score("--version", "9", output="nine")
    with pytest.raises(ScoreError, match="--model other: nothing was rolled out"):
        champion.score("--model", "other")


def test_an_empty_range_makes_an_empty_table(champion: Bench) -> None:
    assert champion.score("--until", "2012-01-01") == 0
    assert champion.scored() == []


def test_a_cell_is_the_newest_that_was_known(bench: Bench) -> None:
    from predictor.batch.lake_features import LakeFeatures

    bench.weather()
    features = LakeFeatures(Registry(), str(bench.lake))  # pyright: ignore[reportArgumentType]
    features.prepare({"origin": [("weather", "temperature")]})
    features.read((AT + timedelta(days=1)).timestamp())
    ref = ("weather", "temperature")
    for hours, value, written in ((-2, None, 0), (-1, 1.0, -1), (2.9, 1.0, -1), (3, 3.0, 3)):
        found = features.as_of("origin", "EWR", (AT + timedelta(hours=hours)).timestamp())
        expected = {} if value is None else {ref: (value, AT.timestamp() + written * 3600)}
        assert found == expected
    assert features.as_of("origin", None, AT.timestamp()) == {}
    assert features.as_of("origin", "XXX", AT.timestamp()) == {}


def test_versions_with_other_features_of_the_same_key_each_have_theirs(bench: Bench) -> None:
    """With `--arm sticky` a challenger without a feature must not take it from the champion."""
    from predictor.batch.lake_features import LakeFeatures

    row = {"event_id": "w", "event_time": AT, "airport": "EWR", "t": 1.0, "wind": 5.0}
    bench.table("weather", [row])
    features = LakeFeatures(Registry(), str(bench.lake))  # pyright: ignore[reportArgumentType]
    temperature, wind = ("weather", "temperature"), ("weather", "wind")
    for refs in ([temperature, wind], [wind]):
        features.prepare({"origin": refs})
    features.read(AT.timestamp())
    written = AT.timestamp()
    assert features.as_of("origin", "EWR", written) == {
        temperature: (1.0, written),
        wind: (5.0, written),
    }
