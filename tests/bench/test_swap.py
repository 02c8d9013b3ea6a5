"""What the benchmark of hot swaps calls a failure."""

import pytest
from bench.serving.swap import Answer, Load, verdict

PUBLISHED = [0.0, 10.0, 20.0]
CERTAIN = [0.0, 11.0, 21.0]


def found(*answers: Answer) -> dict:
    load = Load(0, 3000)
    load.answers = list(answers)
    return verdict(load, PUBLISHED, CERTAIN)


@pytest.mark.parametrize(
    ("sent", "heard", "version"),
    [(1.0, 1.1, 0), (9.9, 10.5, 0), (10.9, 11.1, 0), (9.9, 10.5, 1), (15.0, 15.1, 1), (30, 31, 2)],
)
def test_a_version_that_may_have_been_in_force_is_right(
    sent: float, heard: float, version: int
) -> None:
    assert found(Answer(sent, heard, 200, version))["not_in_force"] == 0


@pytest.mark.parametrize(
    ("sent", "heard", "version"), [(11.1, 11.2, 0), (9.0, 9.9, 1), (21.1, 21.2, 1), (1.0, 1.1, 2)]
)
def test_a_version_that_was_over_or_not_told_of_yet_is_wrong(
    sent: float, heard: float, version: int
) -> None:
    assert found(Answer(sent, heard, 200, version))["not_in_force"] == 1


def test_what_is_no_200_failed_and_has_no_latency() -> None:
    result = found(
        Answer(1.0, 1.1, 503, -1), Answer(10.5, 10.6, 200, 0), Answer(15.0, 15.1, 200, 1)
    )
    assert (result["failed"], result["not_in_force"]) == (1, 0)
    assert result["requests_during_switches"] == 1
