"""Requests for retraining and what became of them."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, Name, Timestamp

Cause = Literal["drift", "performance", "volume", "schedule", "manual"]


class RetrainRequested(EventBody):
    """Somebody or something wants a model retrained."""

    type: ClassVar[str] = "retrain.requested"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model to retrain."""
    cause: Cause
    """Why."""
    evidence: tuple[str, ...] = ()
    """Ids of the events that say why."""
    requested_by: str = Field(min_length=1, max_length=256)
    """A person, or the service that asks."""
    event_time: Timestamp
    """Event time at which the need was seen."""


class RetrainDecided(EventBody):
    """The trainer's answer to a request."""

    type: ClassVar[str] = "retrain.decided"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model of the request."""
    request_id: str
    """Id of the `retrain.requested`."""
    decision: Literal["accepted", "merged", "deferred", "refused"]
    """What becomes of it: trained now, covered by the one in flight, put off, or turned down."""
    reason: str
    """A sentence for people: the rule that decided."""
    cause: Cause
    """The cause that the request gave."""
    event_time: Timestamp
    """Event time of the request; an accepted training reads data up to here."""
