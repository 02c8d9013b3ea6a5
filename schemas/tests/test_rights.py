"""Least rights: what the routes of the events ask for, and nothing beyond it."""

from event_schemas.catalog import LOOPS, ROUTES, SERVICES
from event_schemas.rights import PEOPLE, rights_of, users


def may(user: str, operation: str) -> set[str]:
    return {r.name for r in rights_of(user) if r.type == "topic" and operation in r.operations}


def test_a_service_writes_what_it_sends_and_its_own_topics_alone() -> None:
    for service in SERVICES:
        sent = {event for event, route in ROUTES.items() if service in route.senders}
        own = {name for name in may(service, "Write") if name.startswith(f"{service}.")}
        assert may(service, "Write") == sent | own
        assert (f"{service}.dead" in own) == (service in LOOPS)


def test_the_predictor_follows_rollouts_and_can_neither_begin_nor_approve_anything() -> None:
    assert may("predictor", "Read") == {"rollout.step", "score.requested"}
    assert may("predictor", "Write") == {"prediction.logged", "predictor.dead"}
    assert {right.type for right in rights_of("predictor")} == {"topic", "group"}


def test_people_read_everything_and_send_what_comes_from_outside() -> None:
    assert may(PEOPLE, "Read") == {""}
    assert may(PEOPLE, "Write") == {
        *("record.received", "retrain.requested", "rollout.command", "score.requested")
    }


def test_nobody_may_alter_or_delete() -> None:
    for user in users():
        for right in rights_of(user):
            assert set(right.operations) <= {"Read", "Write", "Describe", "Create"}
            assert "Create" not in right.operations or right.name == f"{user}.state"
