"""Rules and scrape configuration, by Prometheus's own promtool; every alert fires in a test."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "compose" / "prometheus"))

import expressions  # noqa: E402
import live  # noqa: E402

TESTS = ROOT / "compose" / "prometheus" / "tests"
RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = [
    "## What it means",
    "## Who is hurt",
    "## How to look",
    "## What to do",
    "## Who to wake",
]

ALERTS = {rule["alert"]: rule for rule in expressions.rules() if "alert" in rule}
CASES = [
    (path, case)
    for path in sorted(TESTS.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())["tests"]
]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    assert found, (
        "promtool is missing: apt-get install -y --no-install-recommends prometheus"
        " (or put the release of your system on PATH)"
    )
    return subprocess.run(
        [found, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
    )


def said(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout + ran.stderr


def fired(case: dict[str, Any]) -> set[str]:
    """The alerts that a case expects."""
    return {
        alert
        for alert in ALERTS
        for test in case["promql_expr_test"]
        for sample in test["exp_samples"]
        if f'alertname="{alert}"' in sample["labels"]
    }


def cases_of(alert: str) -> tuple[list[tuple[Path, Any]], list[tuple[Path, Any]]]:
    """The cases that show an alert, and those that show it keeping quiet."""
    shown = [each for each in CASES if each[1]["name"].startswith(f"{alert}: ")]
    quiet = [each for each in CASES if each[1]["name"].startswith(f"{alert} not: ")]
    return shown, quiet


def test_the_rules_are_valid() -> None:
    ran = promtool("check", "rules", *sorted(expressions.RULES.glob("*.yaml")))
    assert ran.returncode == 0, said(ran)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"alert": "A", "expr": "rate(up)"}, "expected type range vector"),
        ({"alert": "A", "expr": "up", "fore": "5m"}, "field fore not found"),
        ({"alert": "A", "expr": "up", "labels": {"x": "{{ $lables.y }}"}}, "undefined variable"),
    ],
)
def test_a_fault_in_a_rule_is_found(rule: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [rule]}]}))
    ran = promtool("check", "rules", path)
    assert ran.returncode != 0
    assert said in ran.stdout + ran.stderr


def test_the_scrape_configuration_is_valid() -> None:
    ran = promtool("check", "config", ROOT / "compose" / "prometheus" / "prometheus.yml")
    assert ran.returncode == 0, said(ran)


def test_the_live_check_scrapes_the_ports_of_the_local_stack(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text()
    for variable, port in live.PORTS.values():
        assert f"# {variable}={port}\n" in example
    committed = yaml.safe_load((ROOT / "compose" / "prometheus" / "prometheus.yml").read_text())
    assert [job["job_name"] for job in committed["scrape_configs"]] == list(live.PORTS)
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(live.configuration()))
    ran = promtool("check", "config", path)
    assert ran.returncode == 0, said(ran)


def test_a_misspelt_setting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    text = (ROOT / "compose" / "prometheus" / "prometheus.yml").read_text()
    path.write_text(text.replace("scrape_interval", "scrape_intervall"))
    assert promtool("check", "config", path).returncode != 0


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_alerts_fire_when_they_should_and_keep_quiet_when_not(path: Path) -> None:
    ran = promtool("test", "rules", path)
    assert ran.returncode == 0, said(ran)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    shown, quiet = cases_of(alert)
    assert shown
    assert quiet
    assert all(alert in fired(case) for _, case in shown)
    assert not any(alert in fired(case) for _, case in quiet)


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_that_can_no_longer_fire_fails_its_case(alert: str, tmp_path: Path) -> None:
    rules, tests = tmp_path / "rules", tmp_path / "tests.yaml"
    rules.mkdir()
    for path in expressions.RULES.glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        for rule in (rule for group in content["groups"] for rule in group["rules"]):
            if rule.get("alert") == alert:
                rule["expr"] = f"({rule['expr']}) and on () vector(1) < 0"
        (rules / path.name).write_text(yaml.safe_dump(content))
    shown, _ = cases_of(alert)
    content = yaml.safe_load(shown[0][0].read_text())
    content["rule_files"] = [str(rules / "*.yaml")]
    content["tests"] = [shown[0][1]]
    tests.write_text(yaml.safe_dump(content))
    ran = promtool("test", "rules", tests)
    assert ran.returncode != 0
    assert alert in said(ran)


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_how_bad_it_is_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md"
    text = (RUNBOOKS / f"{alert}.md").read_text()
    assert text.startswith(f"# {alert}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS


def test_every_runbook_has_an_alert() -> None:
    runbooks = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert runbooks == set(ALERTS)


def test_rules_use_declared_metrics_and_labels_only() -> None:
    series = expressions.known()
    found = {
        rule.get("alert") or rule["record"]: strange
        for rule in expressions.rules()
        if (strange := expressions.strangers(rule["expr"], series))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("rate(prediction_total[5m])", "no metric"),
        ('predictions_total{customer="x"}', "no label customer"),
        ("sum by (topic) (predictions_total)", "no label topic"),
        ("up / on (model) up", "no label model"),
    ],
)
def test_a_stranger_in_an_expression_is_found(expression: str, complaint: str) -> None:
    found = expressions.strangers(expression, expressions.known())
    assert any(complaint in each for each in found)


@pytest.mark.parametrize("expression", ["rate(up)", "sum(up", "up{a=}", "up{a=$nobody}"])
def test_what_is_no_promql_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        expressions.uses(expression)
