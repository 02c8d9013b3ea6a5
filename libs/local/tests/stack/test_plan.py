"""Which parts a stack has, and what takes the place of one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import StackError
from local.servers.server import Stage
from local.stack.plan import NAMES, Stack, plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


def environment(stack: Stack, name: str) -> dict[str, str]:
    return next(part for part in stack.parts if part.name == name).environment


def test_a_stack_has_three_stores_and_six_services(settings: Build) -> None:
    assert [part.name for part in plan(settings()).parts] == [
        *("kafka", "valkey", "mlflow"),
        *("ingest", "trainer", "deployer", "predictor", "drift-windows", "drift-watch"),
    ]


def test_services_stop_first_and_the_broker_last(settings: Build) -> None:
    stages = {part.name: part.stage for part in plan(settings()).parts}
    assert stages.pop("kafka") is Stage.BROKER
    assert {name for name, stage in stages.items() if stage is Stage.STORE} == {"valkey", "mlflow"}
    assert sorted(Stage) == [Stage.SERVICE, Stage.STORE, Stage.BROKER]


def test_every_part_has_a_port_of_its_own(settings: Build) -> None:
    ports = [part.port for part in plan(settings()).parts]
    assert len(set(ports)) == len(NAMES)


def test_only_what_is_asked_for_is_started(settings: Build) -> None:
    assert [part.name for part in plan(settings(), ("valkey", "kafka")).parts] == [
        "kafka",
        "valkey",
    ]


def test_an_unknown_part_is_reported_with_the_known_ones(settings: Build) -> None:
    with pytest.raises(StackError, match="no part zookeeper: the parts are kafka, valkey"):
        plan(settings(), ("zookeeper",))


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("kafka_bootstrap_servers", "broker:9092", "kafka"),
        ("redis_url", "redis://:geheim@cache:6379", "valkey"),
        ("mlflow_tracking_uri", "https://mlflow.example", "mlflow"),
    ],
)
def test_something_of_your_own_takes_the_place_of_a_part(
    settings: Build, variable: str, value: str, part: str
) -> None:
    stack = plan(settings(**{variable: value}))
    assert part not in [own.name for own in stack.parts]
    assert stack.external[part].address == value


def test_a_missing_package_is_reported_with_the_way_to_get_it(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.servers.server.find_spec", lambda _: None)
    with pytest.raises(StackError, match=r"noida-db, which is not installed: install tailrace\["):
        plan(settings(), ("kafka",))


EMBEDDED_ONLY = {
    "KAFKA_TOPIC_OPTIONS",
    "KAFKA_BROKER_KIND",
    "SCORE_REQUESTED_MEMBER",
}


def test_apache_kafka_takes_the_place_of_the_embedded_broker(settings: Build, pom: Path) -> None:
    stack = plan(settings(broker="apache", kafka_pom=pom), ("kafka", "predictor"))
    kafka, predictor = stack.parts
    assert (kafka.name, kafka.stage, kafka.port) == ("kafka", Stage.BROKER, 19092)
    assert kafka.command[-2] == "kafka.Kafka"
    assert kafka.prepare is not None
    # What the embedded broker needs would harm this one.
    assert not EMBEDDED_ONLY & predictor.environment.keys()


def test_three_nodes_are_three_parts_that_services_know_of(settings: Build, pom: Path) -> None:
    given = settings(broker="apache", nodes=3, kafka_pom=pom)
    stack = plan(given, ("kafka", "ingest"))
    assert [part.name for part in stack.parts] == ["kafka-1", "kafka-2", "kafka-3", "ingest"]
    addresses = environment(stack, "ingest")["KAFKA_BOOTSTRAP_SERVERS"]
    assert addresses == "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094"


def test_apache_kafka_outside_of_a_checkout_is_reported(settings: Build, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"does not say a kafka\.version"):
        plan(settings(broker="apache", kafka_pom=tmp_path / "pom.xml"), ("kafka",))
