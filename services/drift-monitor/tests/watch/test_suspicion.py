"""When a change of the scores is suspected."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from river.drift import ADWIN

from drift_monitor.watch.suspicion import MAX_VERSIONS, Suspicions

START = datetime(2013, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Every:
    """Detects a change with every `n`-th number."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._seen = 0
        self.width = 2.0
        self.estimation = 0.5

    @property
    def drift_detected(self) -> bool:
        return self._seen % self._n == 0

    def update(self, x: float) -> None:
        self._seen += 1


def test_it_is_heard_once_until_the_cooldown_of_event_time_is_over():
    suspicions = Suspicions(lambda: Every(1), timedelta(minutes=10))
    heard = [
        minute
        for minute in range(30)
        if suspicions.add("m", "1", 0.5, START + minute * MINUTE) is not None
    ]
    assert heard == [0, 10, 20]


def test_each_version_has_its_own_cooldown():
    suspicions = Suspicions(lambda: Every(1), timedelta(days=1))
    assert suspicions.add("m", "1", 0.5, START) is not None
    assert suspicions.add("m", "2", 0.5, START) is not None
    assert suspicions.add("m", "1", 0.5, START) is None


def test_it_says_since_when():
    suspicions = Suspicions(lambda: Every(5), timedelta(days=1))
    found = [suspicions.add("m", "1", 0.5, START + i * MINUTE) for i in range(5)][-1]
    assert found is not None
    assert found.since == START + 3 * MINUTE


def test_versions_are_bounded():
    suspicions = Suspicions(lambda: Every(10), timedelta(days=1))
    for version in range(3 * MAX_VERSIONS):
        suspicions.add("m", str(version), 0.5, START)
    assert len(suspicions._watched) == MAX_VERSIONS


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0), (0.4, 1)])
def test_adwin_hears_a_shift_and_not_a_steady_stream(shift, expected):
    generator = random.Random(3)
    suspicions = Suspicions(lambda: ADWIN(delta=0.002), timedelta(days=3))
    found = []
    for row in range(4000):
        score = 0.5 * generator.random() + (shift if row >= 2000 else 0.0)
        if suspicion := suspicions.add("m", "1", score, START + row * MINUTE):
            found.append(suspicion)
    assert len(found) == expected
    for suspicion in found:
        assert abs(suspicion.since - (START + 2000 * MINUTE)) < 200 * MINUTE
        assert suspicion.value > 0.4
