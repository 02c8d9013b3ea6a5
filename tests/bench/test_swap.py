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
    ("sent", "received", "version"),
    [(1.0, 1.1, 0), (9.9, 10.5, 0), (10.9, 11.1, 0), (9.9, 10.5, 1), (15.0, 15.1, 1), (30, 31, 2)],
)
def test_a_version_that_may_have_been_in_force_is_right(
    sent: float, received: float, version: int
) -> None:
    assert found(Answer(sent, received, 200, version, 0.5))["not_in_force"] == 0


@pytest.mark.parametrize(
    ("sent", "received", "version"),
    [(11.1, 11.2, 0), (9.0, 9.9, 1), (21.1, 21.2, 1), (1.0, 1.1, 2)],
)
def test_a_version_that_was_over_or_not_told_of_yet_is_wrong(
    sent: float, received: float, version: int
) -> None:
    assert found(Answer(sent, received, 200, version, 0.5))["not_in_force"] == 1


def test_what_is_no_200_failed_and_has_no_latency() -> None:
    result = found(
        Answer(1.0, 1.1, 503, -1, 0.5),
        Answer(10.5, 10.6, 200, 0, 0.5),
        Answer(15.0, 15.1, 200, 1, 0.5),
    )
    assert (result["failed"], result["not_in_force"]) == (1, 0)
    assert result["requests_during_switches"] == 1


def test_what_the_server_tells_is_held_apart_from_what_clients_hear() -> None:
    during = [Answer(10.5, 10.6, 200, 0, 4.0)] * 3
    besides = [Answer(15.0, 15.05, 200, 1, 2.0)] * 3
    result = found(*during, *besides)
    assert (result["p99_ms_during"], result["p99_ms_besides"]) == (100.0, 50.0)
    assert result["p99_ms_during_in_the_server"] == 4.0
    assert result["p99_ms_besides_in_the_server"] == 2.0
    assert (result["p99_ratio"], result["p99_ratio_in_the_server"]) == (2.0, 2.0)
