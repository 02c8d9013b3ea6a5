import pytest

from predictor.domain.drain import Drain, retry_after


def test_without_refusals_nothing_is_measured() -> None:
    drain = Drain(0.0)
    for i in range(1, 30):
        drain.settled(1, i * 0.1)
    assert drain.seconds(1000) == 0.0


def test_the_rate_is_what_came_to_its_end_while_it_was_full() -> None:
    drain = Drain(0.0)
    for i in range(1, 40):
        drain.refused(i * 0.1)
        drain.settled(20, i * 0.1)
    assert drain.seconds(1000) == pytest.approx(5.0, rel=0.05)


def test_a_window_that_was_not_full_from_its_beginning_is_no_measure() -> None:
    drain = Drain(0.0)
    drain.settled(1, 0.1)
    drain.refused(0.4)
    drain.settled(1, 0.6)  # the first window: half of it idle
    assert drain.seconds(1000) == 0.0


def test_nothing_at_all_in_a_window_is_for_ever() -> None:
    drain = Drain(0.0)
    for i in range(1, 20):
        drain.refused(i * 0.1)
    assert drain.seconds(1) == float("inf")


def test_the_rate_is_forgotten_when_nobody_is_refused_any_more() -> None:
    drain = Drain(0.0)
    for i in range(1, 20):
        drain.refused(i * 0.1)
        drain.settled(1, i * 0.1)
    assert drain.seconds(10) > 0
    for i in range(20, 40):
        drain.settled(1, i * 0.1)
    assert drain.seconds(10) == 0.0


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (29.5, 30), (float("inf"), 30)]
)
def test_a_caller_is_told_whole_seconds_between_the_bounds(seconds: float, wanted: int) -> None:
    assert retry_after(seconds, 1, 30) == wanted
