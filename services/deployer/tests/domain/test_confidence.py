"""The confidence sequences: width, shape, and how rarely the truth escapes."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.domain.confidence import Sample, difference, radius


def sample(values: list[float]) -> Sample:
    return Sample(len(values), sum(values), sum(v * v for v in values))


def test_nothing_measured_leaves_everything_possible() -> None:
    assert radius(Sample(), 0.05, 1000) == math.inf
    assert difference(Sample(), Sample(10, 5, 3), 0.05, 1000).high == math.inf


def test_the_radius_is_the_formula_of_the_paper() -> None:
    # By hand: rho^2 = (5.9915 + 1.7904 + 1) / 1000 = 0.0087819, n rho^2 + 1 = 9.7819,
    # 0.5 * sqrt(2 * 9.7819 / 8781.9 * ln(3.1276 / 0.05)) = 0.5 * sqrt(0.0022278 * 4.1360).
    assert radius(Sample(1000, 500.0, 500.0), 0.05, 1000) == pytest.approx(0.047995, abs=1e-6)


@given(st.integers(1, 10**6), st.integers(2, 50))
def test_more_values_never_widen_the_sequence(n: int, factor: int) -> None:
    small, large = (
        Sample(n, n * 0.5, n * 0.5),
        Sample(n * factor, n * factor * 0.5, n * factor * 0.5),
    )
    assert radius(large, 0.05, 1000) < radius(small, 0.05, 1000)


@given(st.lists(st.floats(0, 10), max_size=20), st.lists(st.floats(0, 10), max_size=20))
def test_samples_add_up_like_their_values(left: list[float], right: list[float]) -> None:
    total = sample(left) + sample(right)
    whole = sample(left + right)
    assert (total.n, total.total, total.total_squared) == pytest.approx(
        (whole.n, whole.total, whole.total_squared)
    )


def test_two_equal_arms_are_rarely_told_apart_however_often_one_looks() -> None:
    """At alpha = 0.1 at most a tenth of 300 canaries may be misjudged at any of 60 looks."""
    rng = random.Random(7)
    misjudged = 0
    for _ in range(300):
        a, b = Sample(), Sample()
        for _ in range(60):
            a += sample([rng.expovariate(2.0) for _ in range(50)])
            b += sample([rng.expovariate(2.0) for _ in range(50)])
            interval = difference(a, b, alpha=0.1, tightest_at=1000)
            if not interval.low <= 0 <= interval.high:
                misjudged += 1
                break
    assert misjudged <= 30


def test_a_share_without_a_hit_still_leaves_doubt() -> None:
    assert Sample.of_share(0, 100).deviation > 0
