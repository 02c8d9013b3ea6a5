"""What moves the watermark, and what does not."""

from hypothesis import given
from hypothesis import strategies as st

from drift_monitor.domain.watermark import NOTHING_SEEN, Watermark

JUMP, VOTES = 100, 3


def after(*times, start=NOTHING_SEEN):
    mark = start
    for time in times:
        mark = mark.saw(time, JUMP, VOTES)
    return mark.time


def test_the_start_is_a_jump_from_nothing_to_the_earliest():
    assert after(5000, 5010) is None
    assert after(5000, 5010, 5005) == 5000
    assert after(5000, 5010, 5005, 5006) == 5006


def test_it_never_goes_back():
    assert after(500, 300, start=Watermark(600)) == 600


def test_a_step_of_just_the_largest_jump_is_ordinary():
    assert after(700, start=Watermark(600)) == 700
    assert after(701, start=Watermark(600)) == 600


def test_one_clock_that_runs_ahead_is_outvoted():
    traffic = [time for i in range(50) for time in (600 + i, 600 + i, 10**9)]
    assert after(*traffic, start=Watermark(600)) == 649


def test_a_long_quiet_period_does_not_stop_it():
    assert after(5000, 5001, 5002, 5003, start=Watermark(600)) == 5003


def test_a_model_asked_less_often_than_the_jump_still_moves():
    assert after(*range(0, 20_000, 200)) >= 19_000


def test_one_bad_clock_before_a_quiet_period_does_not_set_the_time():
    assert after(10**9, 5000, 5001, start=Watermark(600)) == 5000


@given(st.lists(st.integers(0, 1000)))
def test_it_is_never_ahead_of_every_prediction(times):
    mark = after(*times)
    assert mark is None or mark <= max(times)
