"""Apache Kafka with TLS, passwords and rights: in with what it asks for, else told what is wrong.

It needs Java and Maven: `make test-kafka`.
"""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from libs.servicekit.tests.kafka.secured import ADMIN, SecuredBroker, issue, secured_broker

from event_schemas import RetrainRequested
from event_schemas.catalog import SERVICES
from event_schemas.rights import rights_of
from servicekit.bus import Record
from servicekit.cloudevents import encode
from servicekit.errors import UnavailableError
from servicekit.event import Event
from servicekit.kafka import KafkaBus

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        os.environ.get("TEST_BROKER") != "apache", reason="make test-kafka: Apache Kafka alone"
    ),
]

TYPES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactionalId": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Describe": AclOperation.DESCRIBE,
    "Create": AclOperation.CREATE,
}


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker with all topics, on which each service has its rights and no more."""
    users = {service: f"of-{service}" for service in SERVICES}
    with secured_broker(tmp_path_factory.mktemp("secured"), users, rights=True) as broker:
        view = bus_of(broker, ADMIN).view("rollout.step")
        view.poll(1.0)
        view.close()
        acls = [
            AclBinding(
                TYPES[right.type],
                right.name,
                ResourcePatternType.PREFIXED if right.prefix else ResourcePatternType.LITERAL,
                f"User:{service}",
                "*",
                OPERATIONS[operation],
                AclPermissionType.ALLOW,
            )
            for service in SERVICES
            for right in rights_of(service)
            for operation in right.operations
        ]
        # Its answers end with it.
        admin = AdminClient(broker.options(ADMIN))
        for answer in admin.create_acls(acls).values():
            answer.result(timeout=20)
        yield broker


def bus_of(secured: SecuredBroker, user: str, **changed: Any) -> KafkaBus:
    options = secured.options(user) | changed
    return KafkaBus(options.pop("bootstrap.servers"), options=options, request_seconds=4.0)


def requested() -> Record:
    body = RetrainRequested(
        model="m", cause="manual", requested_by="me", event_time=datetime.now(UTC)
    )
    return encode(Event(body=body, source="/test", time=datetime.now(UTC)))


def failure(bus: KafkaBus) -> str:
    view = bus.view("rollout.step")
    try:
        with pytest.raises(UnavailableError) as caught:
            view.poll(1.0)
    finally:
        view.close()
    return str(caught.value)


@pytest.mark.parametrize("service", ["trainer", "deployer", "drift-monitor"])
def test_a_processor_needs_no_right_but_its_own(secured: SecuredBroker, service: str) -> None:
    read = {"trainer": "drift.detected", "deployer": "model.approved"}.get(service, "label.arrived")
    session = bus_of(secured, service).transactional(service=service, topics=[read])
    try:
        session.open()
        assert list(session.restore()) == []
        assert session.poll(10, 0.5) == []
        session.commit([Record(f"{service}.state", b"k", b"v", partition=0)], {(read, 0): 0})
        session.open()
        assert [message.value for message in session.restore()] == [b"v"]
    finally:
        session.close()


def test_a_member_of_a_group_needs_no_right_but_its_own(secured: SecuredBroker) -> None:
    for user, name, topic in (
        ("ingest", "ingest", "record.received"),
        ("trainer", "trainer-worker", "retrain.decided"),
        ("drift-monitor", "drift-monitor-watch", "prediction.logged"),
    ):
        group = bus_of(secured, user).group(group=name, topics=[topic], member="0")
        try:
            group.open()
            until = time.monotonic() + 60
            while not group.taken_over():  # a member that has not joined yet cannot commit
                assert time.monotonic() < until
                assert group.poll(10, 0.5) == []
            group.commit({(topic, 0): 0})
        finally:
            group.close()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_the_predictor_follows_rollouts_and_logs(secured: SecuredBroker, mechanism: str) -> None:
    bus = bus_of(secured, "predictor", **{"sasl.mechanism": mechanism})
    view = bus.view("rollout.step")
    assert view.poll(1.0) == []
    view.close()
    sender = bus.sender()
    sender.send(Record("prediction.logged", b"k", b"v")).result(timeout=20)
    assert sender.close(5.0) == 0


def test_who_has_no_right_to_a_topic_is_told_what_to_do(secured: SecuredBroker) -> None:
    sender = bus_of(secured, "predictor").sender()
    with pytest.raises(UnavailableError, match="lacks a right on the topics; give it those of"):
        sender.send(requested()).result(timeout=20)
    sender.close(1.0)


def test_who_may_not_see_a_topic_that_it_reads_is_told_what_to_do(secured: SecuredBroker) -> None:
    view = bus_of(secured, "predictor").view("model.approved")
    with pytest.raises(UnavailableError, match="lacks a right on the topics"):
        view.poll(1.0)
    view.close()


def test_who_may_not_join_a_group_is_told_what_to_do(secured: SecuredBroker) -> None:
    group = bus_of(secured, "predictor").group(group="other", topics=["rollout.step"], member="0")

    def join() -> None:
        for _ in range(20):
            group.open()
            group.poll(1, 0.5)

    with pytest.raises(UnavailableError, match="lacks a right on the group"):
        join()
    group.close()


def test_a_wrong_password_names_the_setting(secured: SecuredBroker) -> None:
    said = failure(bus_of(secured, "predictor", **{"sasl.password": "wrong"}))
    assert "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD" in said
    assert "wrong" not in said


def test_another_authority_names_the_setting(secured: SecuredBroker, tmp_path: Path) -> None:
    other = issue(tmp_path / "other").ca
    said = failure(bus_of(secured, "predictor", **{"ssl.ca.location": str(other)}))
    assert "KAFKA_CA_FILE has to name the authority" in said


def test_a_mechanism_that_is_not_offered_names_the_setting(secured: SecuredBroker) -> None:
    said = failure(bus_of(secured, "predictor", **{"sasl.mechanism": "SCRAM-SHA-256"}))
    assert "set KAFKA_SASL_MECHANISM to one of theirs: " not in said
    assert "set KAFKA_SASL_MECHANISM to one of theirs" in said


def test_a_client_without_its_certificate_is_told_the_settings(secured: SecuredBroker) -> None:
    ca = str(secured.authority.ca)
    options = {"security.protocol": "SSL", "ssl.ca.location": ca}
    said = failure(KafkaBus(secured.mutual, options=options, request_seconds=4.0))
    assert "set KAFKA_CERT_FILE and KAFKA_KEY_FILE" in said


def test_speaking_without_tls_names_the_setting(secured: SecuredBroker) -> None:
    assert "KAFKA_SECURITY_PROTOCOL" in failure(KafkaBus(secured.sasl_ssl, request_seconds=4.0))
