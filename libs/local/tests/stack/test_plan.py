"""Which processes a stack has, and what each of them is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import StackError
from local.servers.server import Stage
from local.stack.layout import Layout
from local.stack.lifecycle import prepare
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


def test_the_drift_monitor_is_two_processes_of_one_command(settings: Build) -> None:
    commands = {part.name: part.command for part in plan(settings()).parts}
    assert commands["drift-windows"][0].endswith("/drift-monitor")
    assert commands["drift-windows"][1:] == ("windows",)
    assert commands["drift-watch"][1:] == ("watch",)


def test_a_service_is_told_where_everything_is(settings: Build) -> None:
    given = settings()
    told = environment(plan(given), "predictor")
    assert told["KAFKA_BOOTSTRAP_SERVERS"] == "127.0.0.1:19092"
    assert told["REDIS_URL"] == "redis://127.0.0.1:16379/0"
    assert told["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:15000"
    assert told["LAKE_URI"] == str(given.home / "lake")
    assert told["FEAST_REPO"] == str(given.home / "feast")
    assert Path(told["SPOOL_DIR"]).is_relative_to(given.home / "data")
    assert (told["HTTP_HOST"], told["HTTP_PORT"]) == ("127.0.0.1", "18080")


def test_traces_go_to_mlflow_when_asked_for_unless_the_user_names_a_collector(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    monkeypatch.delenv(name, raising=False)
    assert name not in environment(plan(settings()), "trainer")
    told = environment(plan(settings(traces=True, mlflow_port=15001)), "trainer")
    assert told[name] == "http://127.0.0.1:15001"
    assert told["OTEL_EXPORTER_OTLP_HEADERS"] == "x-mlflow-experiment-id=0"
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert name not in environment(plan(settings(traces=True)), "trainer")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kafka", "valkey")])
def test_no_python_part_calls_home(settings: Build, name: str) -> None:
    told = environment(plan(settings()), name)
    assert told["DO_NOT_TRACK"] == "true"
    assert told["MLFLOW_DISABLE_TELEMETRY"] == "true"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("kafka", "valkey")])
def test_no_python_part_loads_a_pickle(settings: Build, name: str) -> None:
    told = environment(plan(settings()), name)
    assert told["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_only_what_is_asked_for_is_started(settings: Build) -> None:
    assert [part.name for part in plan(settings(), ("valkey", "kafka")).parts] == [
        "kafka",
        "valkey",
    ]


def test_an_unknown_part_is_told_with_the_known_ones(settings: Build) -> None:
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


def test_an_address_of_your_own_is_inherited_and_not_written_down(settings: Build) -> None:
    stack = plan(settings(redis_url="redis://:geheim@cache:6379"))
    assert all("REDIS_URL" not in part.environment for part in stack.parts)
    assert "geheim" not in stack.external["valkey"].shown


def test_a_service_that_listens_everywhere_is_reached_on_loopback(settings: Build) -> None:
    stack = plan(settings(http_host="0.0.0.0"), ("predictor",))
    assert stack.parts[0].environment["HTTP_HOST"] == "0.0.0.0"
    assert stack.parts[0].endpoint.address == "http://127.0.0.1:18080"


def test_a_missing_package_is_told_with_the_way_to_get_it(
    settings: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.servers.server.find_spec", lambda _: None)
    with pytest.raises(StackError, match=r"noida-db, which is not installed: install tailrace\["):
        plan(settings(), ("kafka",))


@pytest.fixture
def pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("local.servers.apache.shutil.which", lambda tool: f"/usr/bin/{tool}")
    path = tmp_path / "pom.xml"
    path.write_text("<p><properties><kafka.version>4.1.0</kafka.version></properties></p>")
    return path


EMBEDDED_ONLY = {
    "KAFKA_TOPIC_OPTIONS",
    "KAFKA_IDLE_REST_SECONDS",
    "KAFKA_NEW_TRANSACTIONAL_IDS",
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


def test_services_are_told_what_the_embedded_broker_asks_for(settings: Build) -> None:
    stack = plan(settings(), ("kafka", "predictor"))
    assert stack.parts[1].environment.keys() >= EMBEDDED_ONLY


def test_three_nodes_are_three_parts_that_services_know_of(settings: Build, pom: Path) -> None:
    given = settings(broker="apache", nodes=3, kafka_pom=pom)
    stack = plan(given, ("kafka", "ingest"))
    assert [part.name for part in stack.parts] == ["kafka-1", "kafka-2", "kafka-3", "ingest"]
    told = environment(stack, "ingest")["KAFKA_BOOTSTRAP_SERVERS"]
    assert told == "127.0.0.1:19092,127.0.0.1:19093,127.0.0.1:19094"


def test_apache_kafka_outside_of_a_checkout_is_told(settings: Build, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"does not say a kafka\.version"):
        plan(settings(broker="apache", kafka_pom=tmp_path / "pom.xml"), ("kafka",))


def test_several_nodes_need_apache_kafka(settings: Build) -> None:
    with pytest.raises(ValueError, match="NODES=3 needs BROKER=apache"):
        settings(nodes=3)


def test_a_home_keeps_to_its_kind_of_broker(settings: Build, pom: Path) -> None:
    embedded, other = settings(), settings(broker="apache", kafka_pom=pom)
    layout = Layout(embedded.home)
    stack = plan(embedded, ("kafka",))
    prepare(stack, layout, embedded, print)
    prepare(stack, layout, embedded, print)
    with pytest.raises(StackError, match="holds the topics of BROKER=embedded NODES=1"):
        prepare(plan(other, ("kafka",)), layout, other, print)
