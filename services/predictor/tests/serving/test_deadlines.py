from dataclasses import dataclass

from predictor.serving.deadlines import awaited


@dataclass
class Waiting:
    deadline: float
    gone: bool = False


def test_at_its_deadline_it_is_too_late() -> None:
    early, at, late = Waiting(10.001), Waiting(10.0), Waiting(9.0)
    assert awaited([early, at, late], 10.0) == ([early], [at, late])


def test_what_nobody_waits_for_is_no_work() -> None:
    gone, there = Waiting(11.0, gone=True), Waiting(11.0)
    assert awaited([gone, there], 10.0) == ([there], [gone])


def test_a_batch_that_is_in_time_stays_as_it_is() -> None:
    batch = [Waiting(11.0), Waiting(12.0)]
    assert awaited(batch, 10.0) == (batch, [])
