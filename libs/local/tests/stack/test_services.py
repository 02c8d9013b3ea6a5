"""The services of a stack, and the environment of each."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.stack.plan import NAMES, Stack, plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


def environment(stack: Stack, name: str) -> dict[str, str]:
    return next(part for part in stack.parts if part.name == name).environment


def test_the_drift_monitor_is_two_processes_of_one_command(settings: Build) -> None:
    commands = {part.name: part.command for part in plan(settings()).parts}
    assert commands["drift-windows"][0].endswith("/drift-monitor")
    assert commands["drift-windows"][1:] == ("windows",)
    assert commands["drift-watch"][1:] == ("watch",)


def test_a_service_knows_where_everything_is(settings: Build) -> None:
    given = settings()
    variables = environment(plan(given), "predictor")
    assert variables["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert variables["REDIS_URL"] == "redis://127.0.0.1:16379/0"
    assert variables["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:15000"
    assert variables["LAKE_URI"] == str(given.home / "lake")
    assert variables["FEAST_REPO"] == str(given.home / "feast")
    assert Path(variables["SPOOL_DIR"]).is_relative_to(given.home / "data")
    assert (variables["HTTP_HOST"], variables["HTTP_PORT"]) == ("127.0.0.1", "18080")


def test_traces_go_to_mlflow_when_asked_for_unless_the_user_names_a_collector(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    monkeypatch.delenv(name, raising=False)
    assert name not in environment(plan(settings()), "trainer")
    variables = environment(plan(settings(traces=True, mlflow_port=15001)), "trainer")
    assert variables[name] == "http://127.0.0.1:15001"
    assert variables["OTEL_EXPORTER_OTLP_HEADERS"] == "x-mlflow-experiment-id=0"
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert name not in environment(plan(settings(traces=True)), "trainer")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kafka", "valkey")])
def test_no_python_part_calls_home(settings: Build, name: str) -> None:
    variables = environment(plan(settings()), name)
    assert variables["DO_NOT_TRACK"] == "true"
    assert variables["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kafka", "valkey")])
def test_no_python_part_loads_a_pickle(settings: Build, name: str) -> None:
    variables = environment(plan(settings()), name)
    assert variables["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_an_address_of_your_own_is_inherited_and_not_written_down(settings: Build) -> None:
    stack = plan(settings(redis_url="redis://:geheim@cache:6379"))
    assert all("REDIS_URL" not in part.environment for part in stack.parts)
    assert "geheim" not in stack.external["valkey"].shown


def test_a_service_that_listens_everywhere_is_reached_on_loopback(settings: Build) -> None:
    stack = plan(settings(http_host="0.0.0.0"), ("predictor",))
    assert stack.parts[0].environment["HTTP_HOST"] == "0.0.0.0"
    assert stack.parts[0].endpoint.address == "http://127.0.0.1:18080"


EMBEDDED_ONLY = {
    "KAFKA_TOPIC_OPTIONS",
    "KAFKA_BROKER_KIND",
    "SCORE_REQUESTED_MEMBER",
}


def test_services_are_set_as_the_embedded_broker_asks_for(settings: Build) -> None:
    stack = plan(settings(), ("kafka", "predictor"))
    assert stack.parts[1].environment.keys() >= EMBEDDED_ONLY
