import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from tests.chaos.schedule import LENGTHS, Kind, Offer, one_by_one, plan

THREE = Offer(("kafka-1", "kafka-2", "kafka-3"), ("lake",), ("kafka", "mlflow"), frozenset(Kind))
EMBEDDED = Offer((), (), ("valkey",), frozenset(Kind) - {Kind.BROKER_PAUSE})
SEEDS = st.integers(0, 2**32)


@given(SEEDS)
def test_a_seed_always_makes_the_same_faults(seed: int) -> None:
    first = plan(seed, THREE, faults=8, seconds=20)
    assert first == plan(seed, THREE, faults=8, seconds=20)
    assert len(first) == 8


def test_another_seed_makes_others() -> None:
    made = {tuple(plan(seed, THREE, faults=6, seconds=20)) for seed in range(100)}
    assert len(made) == 100


@given(SEEDS)
def test_faults_are_in_their_time_and_order_and_last_as_long_as_their_kind_may(seed: int) -> None:
    faults = plan(seed, THREE, faults=20, seconds=10)
    assert faults == sorted(faults, key=lambda fault: fault.at)
    for fault in faults:
        shortest, longest = LENGTHS[fault.kind]
        assert 0 <= fault.at <= 10
        assert shortest <= fault.seconds <= longest


@given(SEEDS)
def test_only_what_is_there_is_struck(seed: int) -> None:
    for fault in plan(seed, EMBEDDED, faults=20, seconds=10):
        assert fault.kind not in (Kind.BROKER_KILL, Kind.BROKERS_KILL, Kind.DISK_FULL)
        assert not fault.target.startswith("kafka-")


def test_every_kind_is_as_likely() -> None:
    kinds = Counter(f.kind for s in range(300) for f in plan(s, THREE, faults=10, seconds=20))
    assert set(kinds) == set(Kind)
    assert max(kinds.values()) < 1.5 * min(kinds.values())


def test_a_fault_that_is_not_wanted_is_not_planned() -> None:
    offer = Offer(THREE.brokers, THREE.disks, THREE.links, frozenset({Kind.KILL}))
    assert {fault.kind for fault in plan(1, offer, faults=20, seconds=20)} == {Kind.KILL}
    assert plan(1, Offer((), (), (), frozenset({Kind.DISK_FULL})), faults=5, seconds=20) == []


def test_of_brokers_that_are_killed_one_by_one_never_two_are_away() -> None:
    faults = one_by_one(THREE.brokers, every=30, away=10)
    assert [fault.target for fault in faults] == list(THREE.brokers)
    for one, another in itertools.pairwise(faults):
        assert one.at + one.seconds < another.at
