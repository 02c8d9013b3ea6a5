"""What is held out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainer.domain.split import by_period, by_share

times = st.lists(st.integers(0, 30), max_size=60).map(lambda v: np.array(v, dtype=np.int64))


@given(times, st.floats(0.01, 0.99))
def test_what_is_held_out_is_newer_than_all_that_is_trained_on(moments, share):
    split = by_share(moments, share)
    assert sorted([*split.train, *split.holdout]) == list(range(len(moments)))
    assert len(split.holdout) >= round(len(moments) * share)
    if len(split.train) and len(split.holdout):
        assert moments[split.train].max() < moments[split.holdout].min()


@given(times, st.integers(1, 40))
def test_a_period_holds_out_what_lies_in_it(moments, period):
    split = by_period(moments, period)
    assert sorted([*split.train, *split.holdout]) == list(range(len(moments)))
    if len(moments):
        held = moments > moments.max() - period
        assert sorted(split.holdout) == list(np.flatnonzero(held))
