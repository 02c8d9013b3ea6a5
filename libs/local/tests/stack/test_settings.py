"""Settings come from variables of the same names, and a wrong one is reported by name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import StackError
from local.stack.settings import StackSettings, stack_settings

Build = Callable[..., StackSettings]


def test_a_fresh_checkout_has_its_own_ports_on_loopback(settings: Build) -> None:
    fresh = settings()
    assert (fresh.http_host, fresh.kafka_port, fresh.predictor_port) == ("127.0.0.1", 19092, 18080)
    assert fresh.kafka_bootstrap_servers is None


@pytest.mark.usefixtures("settings")
def test_a_variable_moves_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALKEY_PORT", "7000")
    assert stack_settings().valkey_port == 7000


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_an_impossible_port_is_reported_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("MLFLOW_PORT", port)
    with pytest.raises(StackError, match=f"MLFLOW_PORT='{port}'"):
        stack_settings()


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("port", ["1", "65535"])
def test_the_first_and_the_last_port_are_possible(
    monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("MLFLOW_PORT", port)
    assert stack_settings().mlflow_port == int(port)


@pytest.mark.usefixtures("settings")
def test_two_parts_on_one_port_are_both_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "18080")
    with pytest.raises(StackError, match="KAFKA_PORT and PREDICTOR_PORT are both 18080"):
        stack_settings()


@pytest.mark.usefixtures("settings")
def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "")
    assert stack_settings().kafka_bootstrap_servers is None


def test_a_relative_home_counts_from_the_working_directory(
    settings: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert settings(tailrace_home=".tailrace").home == tmp_path / ".tailrace"


def test_a_password_is_not_shown_with_the_settings(settings: Build) -> None:
    assert "geheim" not in repr(settings(redis_url="redis://:geheim@there:6379"))


def test_several_nodes_need_apache_kafka(settings: Build) -> None:
    with pytest.raises(ValueError, match="NODES=3 needs BROKER=apache"):
        settings(nodes=3)


def test_fault_6_14_a_home_that_an_address_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="a folder without"):
        StackSettings.model_validate({"tailrace_home": "/data/a#b"})
