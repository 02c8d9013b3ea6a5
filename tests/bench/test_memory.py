"""When memory counts as flat: by the line through the second half of what a process did."""

import random

from bench.memory.report import summary


def samples(growth_mb: float, warm_mb: float = 300.0, noise: float = 2.0):
    """A process that is warm after a fifth of four million events, and then grows by so much."""
    rng = random.Random(1)
    found = []
    for second in range(400):
        share = second / 400
        warm = min(1.0, share * 5)
        grown = growth_mb * max(0.0, share - 0.5) * 2
        memory = 100 + warm_mb * warm + grown + rng.uniform(-noise, noise)
        found.append((float(second), second * 10_000, memory))
    return found


def test_what_a_process_takes_to_get_warm_is_not_growth():
    found = summary(samples(growth_mb=0))
    assert found["flat"]
    assert abs(found["growth_mb"]) < 2
    assert found["start_mb"] < 105 < 395 < found["median_mb"] < 405 < found["peak_mb"] + 5


def test_growth_that_goes_on_is_not_flat():
    found = summary(samples(growth_mb=60))
    assert not found["flat"]
    assert 50 < found["growth_mb"] < 70
    assert 25 < found["slope_mb_per_million"] < 35


def test_what_comes_after_the_last_event_does_not_count():
    idle = [(400.0 + n, 3_990_000, 400.0 + n) for n in range(100)]
    assert summary([*samples(growth_mb=0), *idle])["flat"]
