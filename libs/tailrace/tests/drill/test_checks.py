"""What a drill says of a stack that came back: each promise, kept and broken."""

from dataclasses import replace

import pytest

from tailrace.drill import checks
from tailrace.drill.checks import Answer, Check, Counted
from tailrace.drill.inventory import Inventory

LABELS = ("label.arrived", 0)
TRAINED = ("model.trained", 0)
STEPS = ("rollout.step", 0)
BEFORE = Inventory(
    events={LABELS: ("a", "b"), TRAINED: ("c",), STEPS: ("d", "e")},
    ends={LABELS: 2, TRAINED: 1, ("deployer.state", 0): 7},
    committed={("deployer", "model.trained", 0): 1},
)
AFTER = replace(BEFORE, events={**BEFORE.events, LABELS: ("a", "b", "f")})
ANSWER = Answer("r1", "3", 0.25, {"temp": 40.0, "carrier": "UA"})
COUNTED = Counted(
    asked=10,
    logged=10,
    distinct=10,
    failed=0,
    versions=frozenset({"3"}),
    labels_sent=8,
    labels_joined=8,
    records_sent={"flights": 5},
    records_stored={"flights": 5},
    dead=(),
    runs=(2, 2),
)


def broken(found: list[Check]) -> list[str]:
    return [f"{check.promise}: {check.seen}" for check in found if not check.kept]


def test_a_stack_that_came_back_whole_keeps_every_promise() -> None:
    found = [
        *checks.same_answer(ANSWER, ANSWER),
        *checks.offsets_go_on(BEFORE, BEFORE),
        *checks.nothing_twice(BEFORE, AFTER, {}),
        *checks.counts_agree("3", COUNTED),
        checks.in_time(9.0, 10.0),
    ]
    assert broken(found) == []
    assert len(found) == 14


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (replace(ANSWER, version="2"), "version 3 of rollout r1 before, version 2 of r1 after"),
        (replace(ANSWER, rollout="r2"), "version 3 of r2 after"),
        (replace(ANSWER, score=0.5), "score 0.250000 before, 0.500000 after"),
        (
            replace(ANSWER, features={"temp": 55.0, "carrier": "UA"}),
            "score 0.250000 before, 0.250000 after; other values of temp",
        ),
        (replace(ANSWER, features={"carrier": "UA"}), "other values of temp"),
    ],
)
def test_another_answer_is_found(after: Answer, said: str) -> None:
    (problem,) = broken(checks.same_answer(ANSWER, after))
    assert said in problem


@pytest.mark.parametrize(
    ("restored", "said"),
    [
        (replace(BEFORE, ends={**BEFORE.ends, LABELS: 1}), "label.arrived[0] ends at 1, was at 2"),
        (replace(BEFORE, ends={LABELS: 2, TRAINED: 1}), "deployer.state[0] ends at None, was at 7"),
        (
            replace(BEFORE, committed={("deployer", "model.trained", 0): 0}),
            "deployer stands at 0 of model.trained[0], was at 1",
        ),
        (replace(BEFORE, committed={}), "deployer stands at None"),
    ],
)
def test_offsets_that_went_back_are_found(restored: Inventory, said: str) -> None:
    (problem,) = broken(checks.offsets_go_on(BEFORE, restored))
    assert said in problem


def test_offsets_may_have_moved_on() -> None:
    restored = replace(BEFORE, ends={where: end + 1 for where, end in BEFORE.ends.items()})
    assert broken(checks.offsets_go_on(BEFORE, restored)) == []


def test_a_broker_that_holds_nothing_is_no_pass() -> None:
    assert len(broken(checks.offsets_go_on(Inventory(), Inventory()))) == 2
    assert len(broken(checks.nothing_twice(Inventory(), Inventory(), {}))) == 1


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ({LABELS: ("a", "b", "a")}, "1 of label.arrived"),
        ({LABELS: ("a",)}, "still there, in its order: label.arrived[0]"),
        ({LABELS: ("b", "a")}, "still there, in its order: label.arrived[0]"),
        ({TRAINED: ("c", "g")}, "2 model.trained, were 1"),
        ({STEPS: ("d", "e", "h")}, "3 rollout.step, were 2"),
    ],
)
def test_work_that_was_repeated_or_lost_is_found(
    events: dict[tuple[str, int], tuple[str, ...]], said: str
) -> None:
    after = replace(AFTER, events={**AFTER.events, **events})
    (problem,) = broken(checks.nothing_twice(BEFORE, after, {}))
    assert said in problem


def test_what_is_said_again_on_purpose_is_no_fault_up_to_its_number() -> None:
    after = replace(AFTER, events={**AFTER.events, LABELS: ("a", "b", "a", "b")})
    assert broken(checks.nothing_twice(BEFORE, after, {"label.arrived": 2})) == []
    assert broken(checks.nothing_twice(BEFORE, after, {"label.arrived": 1}))


def test_a_compacted_topic_may_have_forgotten_what_is_out_of_date() -> None:
    after = replace(AFTER, events={**AFTER.events, STEPS: ("e",)})
    problems = broken(checks.nothing_twice(BEFORE, after, {}))
    assert not [problem for problem in problems if "in its order" in problem]


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        (replace(COUNTED, logged=11), "10 asked, 11 logged"),
        (replace(COUNTED, distinct=9), "9 distinct"),
        (replace(COUNTED, failed=1), "1 failed"),
        (replace(COUNTED, versions=frozenset({"3", "4"})), "answered by 3, 4"),
        (replace(COUNTED, versions=frozenset()), "answered by none"),
        (replace(COUNTED, labels_joined=7), "8 sent, 7 joined"),
        (replace(COUNTED, records_stored={"flights": 6}), "{'flights': 6} stored"),
        (replace(COUNTED, runs=(2, 3)), "2 before, 3 after"),
        (replace(COUNTED, dead=("x", "y", "z", "w")), "x; y; z and 1 more"),
    ],
)
def test_counts_that_disagree_are_found(counted: Counted, said: str) -> None:
    (problem,) = broken(checks.counts_agree("3", counted))
    assert said in problem


def test_a_drill_without_traffic_is_no_pass() -> None:
    nothing = Counted(0, 0, 0, 0, frozenset({"3"}), 0, 0, {}, {}, (), (0, 0))
    assert len(broken(checks.counts_agree("3", nothing))) == 4


def test_a_recovery_that_took_too_long_is_found() -> None:
    assert broken([checks.in_time(10.5, 10.0)]) == [
        "the first prediction is answered within 10 s of the loss: 10.5 s"
    ]
