"""Bins, quantiles and distances."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_monitor.domain.histograms import (
    NO_LATENCIES,
    add,
    jensen_shannon,
    latency_bin,
    latency_quantile,
    score_bin,
)


@pytest.mark.parametrize(
    ("score", "index"),
    [(0.0, 0), (0.0499, 0), (0.05, 1), (0.99, 19), (1.0, 19), (-3, 0), (7, 19)],
)
def test_scores_fall_into_twenty_bins_the_last_with_one(score, index):
    assert score_bin(score) == index


@given(st.lists(st.floats(0.02, 100_000), min_size=1, max_size=50), st.sampled_from([0.5, 0.95]))
def test_a_quantile_of_latencies_is_right_within_a_bin(latencies, q):
    counts = NO_LATENCIES
    for latency in latencies:
        counts = add(counts, latency_bin(latency))
    exact = float(np.quantile(latencies, q, method="inverted_cdf"))
    found = latency_quantile(counts, q)
    assert found is not None
    assert exact / 1.2 <= found <= exact * 1.2


def test_no_latency_has_no_quantile():
    assert latency_quantile(NO_LATENCIES, 0.5) is None


def test_the_distance_is_that_of_scipy():
    from scipy.spatial.distance import jensenshannon

    left, right = [5, 0, 3, 2], [1, 4, 3, 9]
    assert jensen_shannon(left, right) == pytest.approx(float(jensenshannon(left, right)))
    assert jensen_shannon([1, 0], [0, 7]) == pytest.approx(math.sqrt(math.log(2)))
    assert jensen_shannon([2, 4], [1, 2]) == 0.0


def test_an_empty_histogram_has_no_distance():
    with pytest.raises(ValueError, match="empty"):
        jensen_shannon([0, 0], [1, 2])
