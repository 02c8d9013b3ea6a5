import pytest

from predictor.domain.errors import OverloadedError, OverShareError
from predictor.serving.admission import Admission, Room


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def entered(admission: Admission, model: str, count: int) -> None:
    for _ in range(count):
        admission.check(model, 1, 0, alone=False)
        admission.entered(model)


def test_a_model_alone_may_take_all_and_then_hears_that_it_is_full() -> None:
    admission = Admission(Room(10, 0.5))
    for _ in range(10):
        admission.check("a", 1, 0, alone=True)
        admission.entered("a")
    with pytest.raises(OverloadedError, match="10 predictions are under way, of 10") as caught:
        admission.check("a", 1, 0, alone=True)
    assert type(caught.value) is OverloadedError
    admission.left("a")
    admission.check("a", 1, 0, alone=True)


def test_a_flood_is_stopped_at_its_share_and_a_quiet_model_comes_in() -> None:
    admission = Admission(Room(10, 0.8))
    with pytest.raises(OverShareError, match="8 predictions of 'flood' are under way") as caught:
        entered(admission, "flood", 9)
    assert (caught.value.code, caught.value.retry_after) == ("over_share", 1)
    entered(admission, "quiet", 1)
    for _ in range(8):
        admission.left("flood")
    admission.left("quiet")
    assert admission.under_way == 0
    entered(admission, "flood", 8)


def test_what_waits_for_a_batch_counts_though_it_was_answered() -> None:
    admission = Admission(Room(10))
    admission.check("a", 1, 9, alone=True)
    with pytest.raises(OverloadedError):
        admission.check("a", 1, 10, alone=True)


@pytest.mark.parametrize(("most", "wanted"), [(30, 4), (3, 3)])
def test_callers_are_told_how_long_what_is_under_way_takes(most: int, wanted: int) -> None:
    clock = Clock()
    admission = Admission(Room(70, 1.0, 1, most), clock)
    for _ in range(70):
        admission.entered("a")
    waits = []
    for _ in range(30):
        clock.now += 0.1
        admission.settled(2)
        with pytest.raises(OverloadedError) as caught:
            admission.check("a", 1, 0, alone=True)
        waits.append(caught.value.retry_after)
    assert waits[0] == 1, "nothing was measured yet"
    assert waits[-1] == wanted, "70 at 20 a second"
