"""How topics are kept is said by the contracts, once."""

import pytest

from event_schemas import EVENTS, LabelArrived, PredictionLogged, RecordReceived, RolloutStep
from event_schemas.catalog import ROUTES
from event_schemas.topics import Kind, all_topics, topic_named, topic_of


def test_every_event_has_a_topic_and_every_reader_dead_letters() -> None:
    names = {topic.name for topic in all_topics()}
    assert {event.type for event in EVENTS} <= names
    readers = {service for route in ROUTES.values() for service in route.receivers}
    assert {name for name in names if name.endswith(".dead")} == {
        f"{service}.dead" for service in readers
    }


@pytest.mark.parametrize("event", EVENTS)
def test_a_name_is_enough_to_know_how_a_topic_is_kept(event: type) -> None:
    assert topic_named(event.type) == topic_of(event)  # type: ignore[attr-defined]


def test_what_grows_is_kept_a_week_and_what_was_decided_a_year() -> None:
    kept = {topic.name: topic.config.get("retention.ms") for topic in all_topics()}
    assert kept["prediction.logged"] == str(7 * 24 * 3600 * 1000)
    assert kept["model.approved"] == str(365 * 24 * 3600 * 1000)
    assert kept["ingest.dead"] == str(30 * 24 * 3600 * 1000)
    assert kept["rollout.step"] is kept["deployer.state"] is None


def test_state_and_routes_are_compacted_and_nothing_else_is() -> None:
    compacted = {t.name for t in all_topics() if t.config["cleanup.policy"] == "compact"}
    states = {topic.name for topic in all_topics() if topic.kind is Kind.STATE}
    assert compacted == states | {RolloutStep.type}


def test_topics_that_are_joined_do_not_grow() -> None:
    assert topic_of(RecordReceived).may_grow
    assert not topic_of(PredictionLogged).may_grow
    assert not topic_of(LabelArrived).may_grow
    assert not topic_of(RolloutStep).may_grow
