"""What each service needs to be allowed to do in Kafka, and nothing beyond it."""

from typing import Literal, NamedTuple

from event_schemas.catalog import LOOPS, OUTSIDE, REBUILT, ROUTES, SERVICES, STATES
from event_schemas.topics import DEAD, STATE

READ = ("Read", "Describe")
WRITE = ("Write", "Describe")
PEOPLE = "people"
"""Who uses the `tailrace` command; what it may send is what is sent from outside."""


class Right(NamedTuple):
    """What may be done with a topic, a consumer group or a transactional id."""

    type: Literal["topic", "group", "transactionalId"]
    name: str
    prefix: bool
    """Whether the right is on all names that begin with this one."""
    operations: tuple[str, ...]


def rights_of(user: str) -> tuple[Right, ...]:
    """Return the rights of a service, or of `PEOPLE`, by the routes of the events."""
    if user == PEOPLE:
        sent = [e for e, route in ROUTES.items() if OUTSIDE in route.senders]
        # Commands look at any event and dead letter; sending one again is sending the event.
        return (
            Right("topic", "", True, READ),
            *(Right("topic", event, False, WRITE) for event in sent),
            *_FOLLOWING,
        )
    operations: dict[str, set[str]] = {}
    for event, route in ROUTES.items():
        if user in route.receivers or event in REBUILT.get(user, ()):
            operations.setdefault(event, set()).update(READ)
        if user in route.senders:
            operations.setdefault(event, set()).update(WRITE)
    if user in LOOPS:
        operations[user + DEAD] = set(WRITE)
    if user in STATES:
        # The service makes it itself, with a partition for each slot.
        operations[user + STATE] = {*READ, *WRITE, "Create"}
    found = [Right("topic", name, False, tuple(sorted(may))) for name, may in operations.items()]
    if user in LOOPS:
        found.append(Right("group", user, True, READ))
    if user in STATES:
        found.append(Right("transactionalId", f"{user}-", True, WRITE))
    return (*found, *_FOLLOWING)


def users() -> tuple[str, ...]:
    """Return everyone who has rights."""
    return (*SERVICES, PEOPLE)


_FOLLOWING = (Right("group", "no-group", False, ("Describe",)),)
"""Who follows a topic belongs to no group, but the client asks for one all the same."""
