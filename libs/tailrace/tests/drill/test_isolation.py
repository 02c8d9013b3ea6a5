"""Where a drill runs: beside everything else, and never on what is real."""

from pathlib import Path

import pytest

from local.errors import StackError
from local.stack.settings import StackSettings
from tailrace.drill.isolation import isolated


def test_it_has_a_home_and_ports_of_its_own(tmp_path: Path) -> None:
    settings = StackSettings(tailrace_home=tmp_path)
    own = isolated(settings)
    assert own.home == tmp_path / "drill"
    ports = {name: value for name, value in own if name.endswith("_port")}
    usual = {value for name, value in settings if name.endswith("_port")}
    assert len(set(ports.values())) == len(ports) == len(usual)
    assert not usual & set(ports.values())
    StackSettings(**dict(own))  # what checks the ports of a person checks these


def test_the_nodes_of_apache_kafka_have_room(tmp_path: Path) -> None:
    own = isolated(StackSettings(tailrace_home=tmp_path, broker="apache", nodes=3))
    taken = {own.kafka_port + offset for offset in (0, 1, 2, 10, 11, 12)}
    others = {value for name, value in own if name.endswith("_port") and name != "kafka_port"}
    assert not taken & others


@pytest.mark.parametrize("variable", ["kafka_bootstrap_servers", "lake_uri"])
def test_a_store_elsewhere_is_never_wiped(tmp_path: Path, variable: str) -> None:
    settings = StackSettings(tailrace_home=tmp_path).model_copy(update={variable: "s3://real"})
    with pytest.raises(StackError, match=f"{variable.upper()} would be wiped by a drill: unset it"):
        isolated(settings)
