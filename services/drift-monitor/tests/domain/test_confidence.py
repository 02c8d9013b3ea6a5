"""The lower bound on a mean."""

import math

import numpy as np
import pytest

from drift_monitor.domain.confidence import lower_bound


def test_the_bound_is_that_of_the_paper():
    # n = 1000, sigma = 1, alpha = 0.05, rho^2 = (5.99146 + log 6.99146) / 1000 = 0.00793617
    width = math.sqrt(2 * 8.93617 / (1000**2 * 0.00793617) * math.log(math.sqrt(8.93617) / 0.05))
    bound = lower_bound(2.0, 1.0, 1000, alpha=0.05, expected=1000)
    assert bound == pytest.approx(2.0 - width, abs=1e-5)


def test_it_is_tightest_near_the_expected_count():
    widths = {e: -lower_bound(0.0, 1.0, 1000, alpha=0.05, expected=e) for e in (10, 1000, 100_000)}
    assert min(widths, key=lambda e: widths[e]) == 1000


def test_less_than_two_observations_bound_nothing():
    assert lower_bound(1.0, 0.0, 1, alpha=0.05, expected=10) == -math.inf


def test_it_stays_below_the_mean_however_often_one_looks():
    generator = np.random.default_rng(5)
    looks = range(100, 2001, 50)
    crossed = 0
    for _ in range(400):
        losses = generator.exponential(1.0, 2000)
        crossed += any(
            lower_bound(losses[:n].mean(), losses[:n].std(ddof=1), n, alpha=0.05, expected=1000)
            > 1.0
            for n in looks
        )
    assert crossed / 400 <= 0.05
