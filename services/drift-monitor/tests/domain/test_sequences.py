"""Gaps in the numbers of a replica."""

from hypothesis import given
from hypothesis import strategies as st

from drift_monitor.domain.sequences import MAX_GAPS, Sequences


@given(
    numbers=st.lists(st.integers(0, 40), min_size=1, max_size=60),
    low=st.integers(0, 40),
    length=st.integers(0, 40),
)
def test_any_order_and_repetition_leaves_the_gaps_of_a_plain_set(numbers, low, length):
    known = Sequences(numbers[0], numbers[0])
    for number in numbers[1:]:
        known = known.received(number, 0)
    came, span = set(numbers), range(min(numbers), max(numbers) + 1)
    wanted = range(low, low + length + 1)
    assert (known.first, known.last) == (min(numbers), max(numbers))
    assert known.missing(low, low + length) == sum(n in wanted for n in span if n not in came)
    assert all(a <= b for a, b in known.gaps)


def test_gaps_are_bounded():
    known = Sequences(0, 0)
    for number in range(2, 4 * MAX_GAPS, 2):
        known = known.received(number, 0)
    assert len(known.gaps) == MAX_GAPS
