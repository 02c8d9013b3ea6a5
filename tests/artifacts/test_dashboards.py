"""Dashboards are generated, current, complete, and ask only for what the services tell."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "compose" / folder) for folder in ("grafana", "prometheus")]

import expressions  # noqa: E402
import generate  # noqa: E402

PROVISIONING = ROOT / "compose" / "grafana" / "provisioning"
DASHBOARDS = {
    path.stem: json.loads(path.read_text()) for path in expressions.DASHBOARDS.glob("*.json")
}
every_dashboard = pytest.mark.parametrize("name", sorted(DASHBOARDS))


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def lost(before: Any, after: Any, where: str = "$") -> list[str]:
    """What Grafana's own types did not know, and so dropped."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            gone
            for key, value in before.items()
            for gone in (
                lost(value, after[key], f"{where}.{key}") if key in after else [f"{where}.{key}"]
            )
        ]
    if isinstance(before, list) and isinstance(after, list):
        pairs = enumerate(zip(before, after, strict=True))
        return [gone for i, (b, a) in pairs for gone in lost(b, a, f"{where}[{i}]")]
    return [] if before == after else [where]


def test_there_is_one_for_each_part_of_the_loop() -> None:
    assert DASHBOARDS.keys() == {"platform", "loop", "rollout", "quality", "data", "kafka"}


def test_what_is_committed_is_what_the_generator_writes() -> None:
    assert generate.main(["--check"]) == 0


def test_a_dashboard_that_was_edited_by_hand_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "FOLDER", tmp_path / "dashboards")
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    path = tmp_path / "dashboards" / "loop.json"
    path.write_text(path.read_text().replace("Time to detect", "Time"))
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    (tmp_path / "dashboards" / "mine.json").write_text("{}")
    assert generate.main(["--check"]) == 1


@every_dashboard
def test_grafana_knows_every_field(name: str) -> None:
    dashboard = DASHBOARDS[name]
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))
    assert lost(dashboard, again) == []


@every_dashboard
def test_ids_are_unique_and_none_is_zero(name: str) -> None:
    ids = [panel["id"] for panel in DASHBOARDS[name]["panels"]]
    assert len(set(ids)) == len(ids)
    assert min(ids) > 0
    for panel in panels(name):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
        assert all(references)


@every_dashboard
def test_every_panel_says_what_it_shows_in_which_unit(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)
    for panel in panels(name):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "prometheus"


@every_dashboard
def test_no_panel_lies_on_another(name: str) -> None:
    taken = set()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


@every_dashboard
def test_queries_use_declared_metrics_and_labels_only(name: str) -> None:
    series = expressions.known()
    found = {each: expressions.strangers(each, series) for each in queries(name)}
    assert {each: strange for each, strange in found.items() if strange} == {}


@every_dashboard
def test_a_model_and_a_version_can_be_chosen_and_rollouts_and_drift_are_marked(name: str) -> None:
    dashboard = DASHBOARDS[name]
    assert [v["name"] for v in dashboard["templating"]["list"]] == ["model", "version"]
    marks = {a["name"]: a["expr"] for a in dashboard["annotations"]["list"]}
    assert marks.keys() == {"Rollouts", "Drift"}
    series = expressions.known()
    assert [expressions.strangers(each, series) for each in marks.values()] == [[], []]


def test_a_legend_names_only_labels_that_the_query_leaves() -> None:
    wrong = []
    for name in DASHBOARDS:
        for panel in panels(name):
            for target in panel["targets"]:
                legend = target.get("legendFormat", "")
                labels = {part.split("}}")[0] for part in legend.split("{{")[1:]}
                if not all(label in target["expr"] for label in labels if label != "group"):
                    wrong.append((name, panel["title"], legend))
    assert wrong == []


def test_names_that_dashboards_of_others_use_are_on_the_platform_one() -> None:
    used = {use.series for query in queries("platform") for use in expressions.uses(query)}
    assert {
        "predictions_total",
        "prediction_latency_seconds_bucket",
        "prediction_errors_total",
        "model_confidence_bucket",
        "cache_hits_total",
        "drift_score",
    } <= used


def test_every_metric_of_the_loop_is_on_a_dashboard_or_in_a_rule() -> None:
    asked = [query for name in DASHBOARDS for query in queries(name)]
    asked += [rule["expr"] for rule in expressions.rules()]
    used = {use.series for query in asked for use in expressions.uses(query)}
    unseen = {
        metric["name"]
        for metric in json.loads(expressions.REGISTRY.read_text())
        if not used & set(metric["series"])
    }
    assert unseen <= SEEN_ELSEWHERE


SEEN_ELSEWHERE = {
    "predictions_unsampled_total",  # none, unless a model's policy says so
    # None, unless a rollout begins in shadow; its rate and its scores are those of the arm.
    "shadow_predictions_total",
    "shadow_predictions_dropped_total",
    "watch_predictions_per_second",  # predictions_total has it more exactly; /v1/live shows it
    "watch_skipped_total",  # watch_sampling_rate tells
    "watch_unreadable_total",  # windows keeps the dead letter of the same message
}


def test_grafana_is_told_of_prometheus_traces_and_dashboards() -> None:
    sources = yaml.safe_load((PROVISIONING / "datasources" / "tailrace.yaml").read_text())
    by_uid = {source["uid"]: source for source in sources["datasources"]}
    assert {uid: source["type"] for uid, source in by_uid.items()} == {
        "prometheus": "prometheus",
        "jaeger": "jaeger",
    }
    (link,) = by_uid["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link == {"name": "trace_id", "datasourceUid": "jaeger"}
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "tailrace.yaml").read_text())[
        "providers"
    ]
    mounts = yaml.safe_load((ROOT / "compose" / "observability.yaml").read_text())["services"]
    assert any(
        mount.endswith(f"dashboards:{provider['options']['path']}:ro")
        for mount in mounts["grafana"]["volumes"]
    )
