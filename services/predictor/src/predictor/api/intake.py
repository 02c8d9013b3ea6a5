"""What every way in shares: the limits of a request, its caller's wishes, and its hand-over."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from predictor.api.headers import Header, Override
from predictor.api.native.contract import Instance, check
from predictor.domain.deadlines import Timeouts
from predictor.domain.errors import RefusalError
from predictor.domain.routing import Arm
from predictor.serving.answering import Answering
from predictor.serving.metrics import ERRORS
from predictor.serving.prediction import OnDone, Prediction
from predictor.serving.refusal_limiter import RefusalLimiter
from predictor.serving.routes.loaded import LoadedVersion
from servicekit.clock import Clock


@dataclass(frozen=True)
class Limits:
    """Of what is asked; see `PredictorSettings`."""

    body_bytes: int
    entity_characters: int
    event_time_ahead_seconds: float
    instances: int
    retry_after_seconds: int
    timeouts: Timeouts
    refusals: RefusalLimiter


class Call:
    """One request.

    Attributes:
        arrived: `time.perf_counter()` when it came.
        headers: its own, with names in lower case.
        seconds: that its caller gives it from then on; None: it does not say.
        model: that it asks; empty until known.
        pinned: the arm that its caller chose; None: that of the entity.
        traceparent: W3C trace context of its log records; None past ASGI, where none is traced.
    """

    __slots__ = ("arrived", "headers", "model", "pinned", "seconds", "traceparent")

    def __init__(
        self,
        headers: Sequence[Header],
        model: str = "",
        seconds: float | None = None,
        traceparent: str | None = None,
    ) -> None:
        self.arrived = time.perf_counter()
        self.headers = headers
        self.model = model
        self.pinned: Arm[LoadedVersion] | None = None
        self.seconds = seconds
        self.traceparent = traceparent


@dataclass(frozen=True, slots=True)
class Intake:
    """Checks what is asked, and has it answered."""

    answering: Answering
    clock: Clock
    limits: Limits
    override: Override

    def check(self, instance: Instance) -> None:
        """Hold an instance against the limits; one that names no time is of now."""
        limits = self.limits
        now = self.clock.now()
        check(instance, now, limits.event_time_ahead_seconds, limits.entity_characters)
        if instance.event_time is None:
            instance.event_time = now

    def pin(self, call: Call) -> None:
        """Pin the arm that the caller names in a header.

        Raises:
            RefusalError: the caller may not choose, or there is no such arm.
        """
        name = self.override.arm(call.headers)
        if name is not None:
            call.pinned = self.answering.arm(call.model, name)

    def submit(self, call: Call, instance: Instance, on_done: OnDone) -> Prediction:
        """Have a checked instance answered; `on_done` is called once, later.

        Raises:
            RefusalError: it is not taken, and `on_done` is not called.
        """
        return self.answering.submit(
            call.model,
            instance,
            arrived=call.arrived,
            within=self.limits.timeouts.of(call.seconds),
            timed=call.seconds is not None,
            traceparent=call.traceparent,
            pinned=call.pinned,
            on_done=on_done,
        )

    def retry_after(self, refusal: RefusalError) -> int:
        """The seconds that a refused caller is to wait."""
        return refusal.retry_after or self.limits.retry_after_seconds

    def count_error(self, model: str, code: str) -> None:
        """Count an error; a model that a caller made up must not become a label."""
        ERRORS.labels(model if self.answering.serves(model) else "", code).inc()
