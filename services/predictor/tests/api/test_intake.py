"""What every way in shares: checks, the pinned arm, and what a refused caller is told."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from predictor.api.headers import Override
from predictor.api.intake import Call, Intake, Limits
from predictor.api.native.contract import Instance
from predictor.domain.deadlines import Timeouts
from predictor.domain.errors import (
    BadRequestError,
    CannotAnswerError,
    OverloadedError,
    UnauthenticatedError,
)
from predictor.serving.metrics import ERRORS
from predictor.serving.refusal_limiter import RefusalLimiter
from servicekit.clock import FakeClock

TOKEN = b"a-token-of-the-testers"
CLOCK = FakeClock()


class Engine:
    """Stands for the answering: serves one model, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def serves(self, model: str) -> bool:
        return model == "known"

    def arm(self, model: str, name: str) -> Any:
        return f"{name} of {model}"

    def submit(self, *positional: Any, **named: Any) -> None:
        self.asked.append(named)


@pytest.fixture
def intake() -> Intake:
    limits = Limits(
        body_bytes=100,
        entity_characters=5,
        event_time_ahead_seconds=10,
        instances=3,
        retry_after_seconds=7,
        timeouts=Timeouts(30.0, 60.0),
        refusals=RefusalLimiter(0),
    )
    engine: Any = Engine()
    return Intake(engine, CLOCK, limits, Override(SecretStr(TOKEN.decode())))


def test_an_instance_without_a_time_is_of_now(intake: Intake) -> None:
    instance = Instance("e", {})
    intake.check(instance)
    assert instance.event_time == CLOCK.now()


def test_an_instance_beyond_a_limit_is_refused(intake: Intake) -> None:
    with pytest.raises(BadRequestError, match="6 characters: send 1 to 5"):
        intake.check(Instance("entity", {}))
    with pytest.raises(BadRequestError, match="more than 10 s in the future"):
        intake.check(Instance("e", {}, CLOCK.now() + timedelta(seconds=11)))


def test_a_tester_pins_the_arm_of_the_call(intake: Intake) -> None:
    call = Call([(b"authorization", b"Bearer " + TOKEN), (b"x-tailrace-arm", b"2")], "known")
    intake.pin(call)
    assert call.pinned == "2 of known"


def test_without_the_header_no_arm_is_pinned_and_without_the_token_the_call_is_refused(
    intake: Intake,
) -> None:
    call = Call([(b"authorization", b"Bearer " + TOKEN)], "known")
    intake.pin(call)
    assert call.pinned is None
    with pytest.raises(UnauthenticatedError):
        intake.pin(Call([(b"x-tailrace-arm", b"2")], "known"))


@pytest.mark.parametrize(("seconds", "within"), [(None, 30.0), (0.5, 0.5), (1e6, 60.0)])
def test_a_call_gets_the_time_that_it_asks_for_within_the_limits(
    intake: Intake, seconds: float | None, within: float
) -> None:
    call = Call((), "known", seconds)
    intake.submit(call, Instance("e", {}), lambda done: None)
    engine: Any = intake.answering
    (asked,) = engine.asked
    assert (asked["within"], asked["timed"]) == (within, seconds is not None)
    assert (asked["arrived"], asked["pinned"]) == (call.arrived, None)


def test_a_refusal_says_when_to_come_again_or_the_service_does(intake: Intake) -> None:
    assert intake.retry_after(OverloadedError("overloaded", "full", retry_after=3)) == 3
    assert intake.retry_after(CannotAnswerError("no_model", "none")) == 7


def test_a_model_that_a_caller_made_up_is_no_label(intake: Intake) -> None:
    def count(model: str) -> float:
        return ERRORS.labels(model, "of_this_test")._value.get()

    for model in ("known", "made-up", ""):
        intake.count_error(model, "of_this_test")
    assert (count("known"), count("")) == (1, 2)
