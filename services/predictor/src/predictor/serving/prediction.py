"""One request on its way to an answer."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from predictor.domain.answer import Answer, Decision
from predictor.domain.errors import RefusalError
from predictor.domain.features import Value
from predictor.domain.routing import Arm
from predictor.serving.routes.loaded import LoadedRoute, LoadedVersion

OnDone = Callable[["Prediction"], None]

IDS_AT_ONCE = 256
"""Random UUIDs take a tenth of `uuid.uuid4` when the system is asked for many at once."""


class Instance(Protocol):
    """What a caller sends about one entity."""

    entity_id: str
    features: dict[str, Any]
    event_time: datetime | None
    prediction_id: str | None


@dataclass(slots=True, eq=False)
class Prediction:
    """A routed request."""

    route: LoadedRoute
    """Of its model, as it was when the request came."""
    arm: Arm[LoadedVersion]
    version: LoadedVersion
    """That of the arm."""
    prediction_id: str
    entity: str
    event_time: datetime
    arrived: float
    """`time.perf_counter()` when the request came."""
    deadline: float
    """`time.perf_counter()` from which on it is not worth computing."""
    traceparent: str | None
    """W3C trace context."""
    on_done: OnDone | None
    """Called once, when it has an answer or `trouble`; None when nobody waits."""
    pinned: bool = False
    """Whether the caller chose the arm."""
    sampling_rate: float = 1.0
    """Share of its like that is logged."""
    logged: bool = True
    timer: asyncio.TimerHandle | None = None
    """Ends it at its deadline, where its caller wants to know just then."""
    row: list[Value] = field(default_factory=list)
    sent: Mapping[str, Any] | None = None
    """What the caller sent, where a challenger in shadow is to see it as well."""
    answer: Answer | None = None
    decision: Decision | None = None
    """What follows from the answer."""
    cached: bool = False
    """Whether the answer came from the prediction cache."""
    error: RefusalError | None = None
    """Why it has no answer of the model; it is in the log."""
    failure: Exception | None = None
    """Why it is not given, whatever the model said."""
    features_ms: float = 0.0
    inference_ms: float = 0.0

    @property
    def trouble(self) -> Exception | None:
        """Why it has no answer; None when it has one."""
        return self.failure or self.error

    def answered(self, answer: Answer) -> None:
        """Keep the answer, and what follows from it."""
        self.answer = answer
        self.decision = self.version.answers.decide(answer)

    def read(self, features: Mapping[str, Any]) -> None:
        """Make the row of what the caller sent, or note why that cannot be.

        The version was chosen, so the log has the refusal: it may be a challenger that needs what
        no caller sends.
        """
        try:
            self.row = self.version.signature.request_values(features, self.route.requested)
        except RefusalError as refusal:
            self.error = refusal

    def repeated_for(self, arm: Arm[LoadedVersion]) -> "Prediction":
        """The same question to another arm, for which nobody waits.

        It has the row where its version takes the same inputs; else `sent`, to be read later.
        """
        other = Prediction(
            self.route,
            arm,
            arm.version,
            self.prediction_id,
            self.entity,
            self.event_time,
            self.arrived,
            self.deadline,
            self.traceparent,
            on_done=None,
        )
        if self.error is None and self.version.signature.inputs == other.version.signature.inputs:
            other.row = self.row
        else:
            other.sent = self.sent
        return other


def in_time(batch: Iterable[Prediction], now: float) -> tuple[list[Prediction], list[Prediction]]:
    """Those that are worth the work; and those that are too late, or that nobody waits for.

    At its deadline a prediction is too late.
    """
    worth: list[Prediction] = []
    late: list[Prediction] = []
    for each in batch:
        (worth if now < each.deadline and each.on_done is not None else late).append(each)
    return worth, late


def split(batch: Iterable[Prediction]) -> tuple[list[Prediction], list[Prediction], bool]:
    """Part a batch by where it is scored.

    Returns:
        those that this process finishes, those whose versions run in child processes, and whether
        one of the former first needs stored features or the prediction cache.
    """
    here: list[Prediction] = []
    in_children: list[Prediction] = []
    reads_stores = False
    for each in batch:
        if each.error is not None:
            here.append(each)
        elif each.version.child is not None:
            in_children.append(each)
        else:
            here.append(each)
            reads_stores |= each.version.reads_stores
    return here, in_children, reads_stores


def _of_version_4(random: str) -> str:
    """32 hexadecimal digits as the UUID of RFC 9562, section 5.4."""
    variant = "89ab"[int(random[16], 16) & 3]
    return f"{random[:8]}-{random[8:12]}-4{random[13:16]}-{variant}{random[17:20]}-{random[20:]}"


def _random_uuids() -> Iterator[str]:
    while True:
        digits = os.urandom(16 * IDS_AT_ONCE).hex()
        for at in range(0, len(digits), 32):
            yield _of_version_4(digits[at : at + 32])


_ids = _random_uuids()


def new_id() -> str:
    """A random UUID that no other call gives; for one thread."""
    return next(_ids)


def _renew_ids() -> None:
    global _ids
    _ids = _random_uuids()


if hasattr(os, "register_at_fork"):
    # A child would go on with its parent's numbers.
    os.register_at_fork(after_in_child=_renew_ids)
