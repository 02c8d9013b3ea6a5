"""How Apache Kafka is fetched, set up and started, as far as that needs no Java."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.errors import ServerError
from local.servers import apache

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><properties>
<kafka.version>4.1.0</kafka.version></properties></project>"""


@pytest.fixture
def nodes(tmp_path: Path) -> list[apache.Node]:
    return [apache.Node(n, 9000 + n, 9100 + n, tmp_path / f"kafka-{n}") for n in (1, 2, 3)]


@pytest.fixture
def pom(tmp_path: Path) -> Path:
    path = tmp_path / "pom.xml"
    path.write_text(POM)
    return path


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_three_nodes_keep_three_copies_and_acknowledge_what_two_have(
    nodes: list[apache.Node],
) -> None:
    values = lines(apache.properties(nodes[1], nodes))
    assert values["node.id"] == "2"
    assert values["controller.quorum.voters"] == (
        "1@127.0.0.1:9101,2@127.0.0.1:9102,3@127.0.0.1:9103"
    )
    assert values["default.replication.factor"] == "3"
    assert values["min.insync.replicas"] == values["transaction.state.log.min.isr"] == "2"


def test_one_node_keeps_one_copy(nodes: list[apache.Node]) -> None:
    values = lines(apache.properties(nodes[0], nodes[:1]))
    assert values["default.replication.factor"] == values["min.insync.replicas"] == "1"


def test_it_listens_on_loopback_only(nodes: list[apache.Node]) -> None:
    values = lines(apache.properties(nodes[0], nodes))
    assert values["listeners"] == "PLAINTEXT://127.0.0.1:9001,CONTROLLER://127.0.0.1:9101"


def test_a_pom_says_the_version(pom: Path, tmp_path: Path) -> None:
    assert apache.jars_folder(pom, tmp_path) == tmp_path / "apache-kafka-4.1.0"


def test_a_pom_that_is_not_there_is_lines(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"does not say a kafka\.version"):
        apache.jars_folder(tmp_path / "pom.xml", tmp_path)


def test_jars_that_are_there_are_not_fetched(
    pom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    apache.fetch(pom, tmp_path)


def test_a_missing_maven_is_lines(
    pom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="install mvn, version"):
        apache.fetch(pom, tmp_path / "jars")


def test_a_missing_java_is_lines(
    tmp_path: Path, nodes: list[apache.Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerError, match="runs on Java: install version 17"):
        apache.server(nodes[0], nodes, tmp_path, tmp_path)


def test_what_maven_said_is_reported_and_half_a_folder_is_removed(
    pom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: tuple[str, ...], **_: Any) -> Any:
        Path(command[-1].partition("=")[2]).mkdir()
        return subprocess.CompletedProcess(command, 1, "[ERROR] no such artifact", "")

    monkeypatch.setattr(apache.shutil, "which", lambda _: "/usr/bin/mvn")
    monkeypatch.setattr(apache.subprocess, "run", fail)
    with pytest.raises(ServerError, match=r"could not fetch .*no such artifact"):
        apache.fetch(pom, tmp_path / "jars")
    assert [path.name for path in tmp_path.iterdir()] == ["pom.xml"]
