import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.admission import Admission, DrainRate, admitted, retry_after
from predictor.domain.errors import OverloadedError, OverShareError


def flooded(models: int, limit: int, share: float) -> list[int]:
    """What models come to when each asks for as much as it can get, one after the other."""
    under_way = [0] * models
    grew = True
    while grew:
        grew = False
        for model in range(models):
            verdict = admitted(
                wanted=1,
                of_model=under_way[model],
                under_way=sum(under_way),
                limit=limit,
                share=share,
            )
            if verdict == "admitted":
                under_way[model] += 1
                grew = True
    return under_way


def test_one_busy_model_comes_to_its_share() -> None:
    assert flooded(1, 1000, 0.8) == [800]


def test_two_busy_models_share_and_leave_room_for_a_third() -> None:
    assert flooded(2, 1000, 0.8) == pytest.approx([444, 444], abs=1)


def test_a_share_of_one_takes_all() -> None:
    assert flooded(1, 100, 1.0) == [100]


@given(st.integers(1, 6), st.integers(10, 300), st.floats(0.05, 0.95))
def test_floods_get_the_same_and_a_quiet_model_still_comes_in(
    models: int, limit: int, share: float
) -> None:
    under_way = flooded(models, limit, share)
    assert max(under_way) - min(under_way) <= 1
    if sum(under_way) < limit:
        quiet = admitted(wanted=1, of_model=0, under_way=sum(under_way), limit=limit, share=share)
        assert quiet == "admitted"


@pytest.mark.parametrize(
    ("wanted", "of_model", "under_way", "verdict"),
    [
        (1, 0, 99, "admitted"),
        (1, 0, 100, "full"),
        (100, 0, 0, "admitted"),
        (101, 0, 0, "full"),
        (1, 50, 98, "over_share"),
        (2, 50, 99, "full"),
        (40, 39, 39, "admitted"),
        (40, 41, 41, "over_share"),
    ],
)
def test_a_full_predictor_is_told_from_a_model_over_its_share(
    wanted: int, of_model: int, under_way: int, verdict: str
) -> None:
    found = admitted(wanted=wanted, of_model=of_model, under_way=under_way, limit=100, share=0.8)
    assert found == verdict


def test_without_refusals_nothing_is_measured() -> None:
    drain = DrainRate(0.0)
    for i in range(1, 30):
        drain.finished(1, i * 0.1)
    assert drain.seconds(1000) == 0.0


def test_the_rate_is_what_came_to_its_end_while_it_was_full() -> None:
    drain = DrainRate(0.0)
    for i in range(1, 40):
        drain.refused(i * 0.1)
        drain.finished(20, i * 0.1)
    assert drain.seconds(1000) == pytest.approx(5.0, rel=0.05)


def test_a_window_that_was_not_full_from_its_beginning_is_no_measure() -> None:
    drain = DrainRate(0.0)
    drain.finished(1, 0.1)
    drain.refused(0.4)
    drain.finished(1, 0.6)  # the first window: half of it idle
    assert drain.seconds(1000) == 0.0


def test_nothing_at_all_in_a_window_is_for_ever() -> None:
    drain = DrainRate(0.0)
    for i in range(1, 20):
        drain.refused(i * 0.1)
    assert drain.seconds(1) == float("inf")


def test_the_rate_is_forgotten_when_nobody_is_refused_any_more() -> None:
    drain = DrainRate(0.0)
    for i in range(1, 20):
        drain.refused(i * 0.1)
        drain.finished(1, i * 0.1)
    assert drain.seconds(10) > 0
    for i in range(20, 40):
        drain.finished(1, i * 0.1)
    assert drain.seconds(10) == 0.0


@pytest.mark.parametrize(
    ("seconds", "wanted"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (29.5, 30), (float("inf"), 30)]
)
def test_a_caller_is_told_whole_seconds_between_the_bounds(seconds: float, wanted: int) -> None:
    assert retry_after(seconds, 1, 30) == wanted


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def start(admission: Admission, model: str, count: int) -> None:
    for _ in range(count):
        admission.require_room(model, 1, 0, alone=False)
        admission.start(model)


def test_a_model_alone_may_take_all_and_then_hears_that_it_is_full() -> None:
    admission = Admission(10, 0.5, now=Clock())
    for _ in range(10):
        admission.require_room("a", 1, 0, alone=True)
        admission.start("a")
    with pytest.raises(OverloadedError, match="10 predictions are under way, of 10") as caught:
        admission.require_room("a", 1, 0, alone=True)
    assert type(caught.value) is OverloadedError
    admission.finish("a")
    admission.require_room("a", 1, 0, alone=True)


def test_a_flood_is_stopped_at_its_share_and_a_quiet_model_comes_in() -> None:
    admission = Admission(10, 0.8, now=Clock())
    with pytest.raises(OverShareError, match="8 predictions of 'flood' are under way") as caught:
        start(admission, "flood", 9)
    assert (caught.value.code, caught.value.retry_after) == ("over_share", 1)
    start(admission, "quiet", 1)
    for _ in range(8):
        admission.finish("flood")
    admission.finish("quiet")
    assert admission.under_way == 0
    start(admission, "flood", 8)


def test_what_waits_for_a_batch_counts_though_it_was_answered() -> None:
    admission = Admission(10, now=Clock())
    admission.require_room("a", 1, 9, alone=True)
    with pytest.raises(OverloadedError):
        admission.require_room("a", 1, 10, alone=True)


@pytest.mark.parametrize(("most", "wanted"), [(30, 4), (3, 3)])
def test_callers_are_told_how_long_what_is_under_way_takes(most: int, wanted: int) -> None:
    clock = Clock()
    admission = Admission(70, 1.0, 1, most, now=clock)
    for _ in range(70):
        admission.start("a")
    waits = []
    for _ in range(30):
        clock.now += 0.1
        admission.measure(2)
        with pytest.raises(OverloadedError) as caught:
            admission.require_room("a", 1, 0, alone=True)
        waits.append(caught.value.retry_after)
    assert waits[0] == 1, "nothing was measured yet"
    assert waits[-1] == wanted, "70 at 20 a second"
