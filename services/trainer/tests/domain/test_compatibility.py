"""What callers of the version before may notice."""

import pytest

from trainer.domain.compatibility import RequestInput, compatibility

HOUR, CARRIER = RequestInput("hour", "number", True), RequestInput("carrier", "category", True)


@pytest.mark.parametrize(
    "after",
    [
        [HOUR, CARRIER],
        [CARRIER, HOUR],
        [RequestInput("hour", "category", True), CARRIER],
        [RequestInput("hour", "number", False), CARRIER],
        [HOUR, CARRIER, RequestInput("wind", "number", False)],
    ],
    ids=["same", "order", "numbers are categories too", "optional now", "optional and new"],
)
def test_what_nobody_notices_is_no_gate(after: list[RequestInput]) -> None:
    assert compatibility([HOUR, CARRIER], after, ()) is None


@pytest.mark.parametrize(
    ("after", "told"),
    [
        ([HOUR], "input carrier is gone, and callers still send it: keep it, or say in"),
        ([HOUR, RequestInput("carrier", "number", True)], "was a category and is a number"),
        ([HOUR, CARRIER, RequestInput("wind", "number", True)], "wind is required, and callers"),
    ],
)
def test_fault_4_6_what_old_callers_would_be_refused_for_is_told_before(
    after: list[RequestInput], told: str
) -> None:
    gate = compatibility([HOUR, CARRIER], after, ())
    assert gate is not None
    assert (gate.name, gate.verdict) == ("inputs", "failed")
    assert told in gate.reason


def test_what_was_optional_may_not_be_required() -> None:
    gate = compatibility([RequestInput("hour", "number", False)], [HOUR], ())
    assert gate is not None
    assert "callers need not send it so far" in gate.reason


def test_fault_4_6_a_retired_input_passes_and_is_told() -> None:
    gate = compatibility([HOUR, CARRIER], [HOUR], {"carrier"})
    assert gate is not None
    assert gate.verdict == "passed"
    assert "carrier is no longer taken" in gate.reason
