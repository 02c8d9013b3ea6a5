import pytest

from predictor.domain.errors import OverloadedError, OverShareError
from predictor.serving.admission import Admission


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def start(admission: Admission, model: str, count: int) -> None:
    for _ in range(count):
        admission.require_room(model, 1, 0, alone=False)
        admission.start(model)


def test_a_model_alone_may_take_all_and_then_hears_that_it_is_full() -> None:
    admission = Admission(10, 0.5)
    for _ in range(10):
        admission.require_room("a", 1, 0, alone=True)
        admission.start("a")
    with pytest.raises(OverloadedError, match="10 predictions are under way, of 10") as caught:
        admission.require_room("a", 1, 0, alone=True)
    assert type(caught.value) is OverloadedError
    admission.finish("a")
    admission.require_room("a", 1, 0, alone=True)


def test_a_flood_is_stopped_at_its_share_and_a_quiet_model_comes_in() -> None:
    admission = Admission(10, 0.8)
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
    admission = Admission(10)
    admission.require_room("a", 1, 9, alone=True)
    with pytest.raises(OverloadedError):
        admission.require_room("a", 1, 10, alone=True)


@pytest.mark.parametrize(("most", "wanted"), [(30, 4), (3, 3)])
def test_callers_are_told_how_long_what_is_under_way_takes(most: int, wanted: int) -> None:
    clock = Clock()
    admission = Admission(70, 1.0, 1, most, clock)
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
