"""What a challenger in shadow says is measured by itself, with the labels of the answers."""

import math
from itertools import permutations

import pytest

from drift_monitor.domain.join import Waiting
from drift_monitor.domain.plan import HOUR
from drift_monitor.handlers.tables import JoinTable
from event_schemas import ArmMeasured


def answered(make):
    return make.prediction(1, make.hour, score=0.5)


def shadow(make, **changes):
    values = {"arm": "shadow", "version": "2", "score": 0.25, "replica": "s", "sequence": 0}
    return make.prediction(1, make.hour, **(values | changes))


def measured(world):
    """The last measurement of each arm."""
    return {each.arm: each for each in world.out(ArmMeasured)}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_one_label_is_the_truth_about_both_in_whatever_order_they_come(world, make, order):
    events = [answered(make), shadow(make), make.label(1, 1.0, 3 * make.hour)]
    world.publish(make.step(make.version("1")))
    world.publish(*(events[i] for i in order), make.prediction("end", 2 * make.day))
    found = measured(world)
    assert found.keys() == {"champion", "shadow"}
    for arm, score in (("champion", 0.5), ("shadow", 0.25)):
        assert (found[arm].n, found[arm].loss.n, found[arm].label_maturity) == (1, 1, 1.0)
        assert found[arm].loss.total == pytest.approx(-math.log(score), abs=1e-9)
    assert found["shadow"].version == "2"


def test_a_corrected_label_corrects_both(world, make):
    world.publish(
        answered(make),
        shadow(make),
        make.label(1, 1.0, 3 * make.hour),
        make.label(1, 0.0, 4 * make.hour),
        make.prediction("end", 2 * make.day),
    )
    found = measured(world)
    assert found["champion"].loss.total == pytest.approx(-math.log(0.5), abs=1e-9)
    assert found["shadow"].loss.total == pytest.approx(-math.log(0.75), abs=1e-9)


def test_a_repeated_shadow_counts_once(world, make):
    world.publish(answered(make), shadow(make), shadow(make), make.prediction("end", 2 * make.day))
    assert measured(world)["shadow"].n == 1


def test_the_champion_is_measured_as_if_there_were_no_shadow(world, make):
    world.publish(
        make.prediction(1, make.hour, score=0.5, sequence=0),
        shadow(make, error="model_failed: it broke", score=None),
        make.label(1, 1.0, 3 * make.hour),
        make.prediction(2, make.hour, score=0.5, sequence=1),
        make.prediction("end", 2 * make.day, sequence=2),
    )
    found = measured(world)
    assert (found["champion"].n, found["champion"].errors, found["champion"].coverage) == (
        2,
        0,
        1.0,
    )
    assert (found["shadow"].n, found["shadow"].errors, found["shadow"].loss.n) == (1, 1, 0)


@pytest.mark.parametrize("reloaded", [False, True])
def test_what_was_in_shadow_is_let_go_with_its_hour(reloaded):
    table = JoinTable()
    keys = [JoinTable.key("m", "p"), JoinTable.shadow_key("m", "p")]
    for key in (*keys, JoinTable.shadow_key("other", "p")):
        table.put(key, Waiting(time=HOUR // 2))
    if reloaded:
        rows = table.changes()
        table.clear()
        for key, value in rows:
            table.load(key.removeprefix("join/"), value)
    assert table.expired("m", 0) == []
    assert sorted(table.expired("m", HOUR)) == sorted(keys)
