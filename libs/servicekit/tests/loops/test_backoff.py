"""Waits grow, are never nothing and never too long."""

from servicekit.loops.backoff import Backoff


def test_waits_double_up_to_the_cap_and_start_over_after_a_success() -> None:
    backoff = Backoff(base=1.0, cap=8.0)
    for longest in (1, 2, 4, 8, 8, 8):
        assert longest / 2 <= backoff.next() <= longest
    backoff.reset()
    assert backoff.next() <= 1


def test_a_day_of_outage_does_not_overflow() -> None:
    backoff = Backoff(base=0.2, cap=10.0)
    assert max(backoff.next() for _ in range(10_000)) <= 10
