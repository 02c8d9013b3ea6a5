"""Plants each fault that the oracle is there to find in a run that kept every promise."""

import json
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.chaos.evidence import (
    ArmKey,
    Decision,
    Found,
    Label,
    Logged,
    Measured,
    Route,
    Sent,
    Step,
)
from tests.chaos.oracle import Promise, expected_measurements, judge, log_loss

DAY = datetime(2025, 1, 1, tzinfo=UTC)
UNTIL = DAY + timedelta(days=3)
ARM = ArmKey("1", "champion", "", 0.0, DAY)
TRUE, FALSE = Label(1, DAY + timedelta(hours=20)), Label(0, DAY + timedelta(hours=19))


def step(sequence: int, phase: str, weight: float, challenger: str | None, **other: str) -> Step:
    champion = other.get("champion", "1")
    outcome, reason = other.get("outcome", "running"), other.get("reason", "healthy")
    return Step(f"s{sequence}", "r", sequence, phase, champion, challenger, weight, outcome, reason)


def kept() -> tuple[Sent, Found]:
    """A run in which nothing was lost, repeated or wrong."""
    sent = Sent(
        asked={"a": DAY, "b": DAY, "c": DAY},
        answered={"a"},
        requested={"b"},
        labels={"a": {TRUE, FALSE}, "b": {FALSE}},
        acknowledged_labels={"a": {TRUE, FALSE}, "b": {FALSE}},
        records={"trips": {"t1", "t2"}},
        acknowledged_records={"trips": {"t1"}},
        requests={"q"},
        commands={"anna-1"},
        poison={b"\xff"},
        answers=Counter({("predict", 200): 2, ("predict", 503): 1, ("ingest", 202): 4}),
    )
    steps = [
        step(0, "idle", 0.0, None, champion="1", outcome="promoted"),
        step(1, "canary", 0.5, "2"),
        step(2, "probation", 1.0, "2", reason="promote by anna-1: chaos"),
        step(3, "idle", 0.0, None, champion="2", outcome="promoted"),
    ]
    loss = log_loss(0.8, 1) + log_loss(0.3, 0)
    found = Found(
        logged=[Logged("e1", "a", ARM, 0.8), Logged("e2", "b", ARM, 0.3)],
        labels={"a": {TRUE, FALSE}, "b": {FALSE}},
        measured={ARM: Measured(4, 2, 0, 2, 1, loss)},
        lake={"trips": Counter({"t1": 1, "t2": 1})},
        steps=steps,
        routes={"predictor": Route(3, "idle", "2", None, 0.0)},
        kept=Route(3, "idle", "2", None, 0.0),
        decisions=[Decision("d0", "q", "deferred"), Decision("d1", "q", "accepted")],
        requests=frozenset({"q"}),
        outcomes={"d1": ["m"]},
        judged={"2": {"ok"}},
        trained={"2": {"m"}},
        runs={"q": 1},
        dead=[("ingest", b"\xff", "unreadable")],
    )
    return sent, found


def test_a_run_that_kept_every_promise_has_no_violation() -> None:
    assert judge(*kept(), UNTIL) == []


def refused(who: str) -> bytes:
    """The value of a dead letter: a command that could not be carried out."""
    return json.dumps({"model": "trips", "command": "abort", "commanded_by": who}).encode()


Plant = Callable[[Sent, Found], object]
FAULTS: dict[str, tuple[Promise, str, Plant]] = {
    "an answered prediction that was not logged": (
        Promise.LOST,
        "predictions",
        lambda s, f: s.answered.add("c"),
    ),
    "a request over Kafka without an answer": (
        Promise.LOST,
        "requests",
        lambda s, f: s.requested.add("c"),
    ),
    "a prediction logged under two ids": (
        Promise.TWICE,
        "predictions",
        lambda s, f: f.logged.append(replace(f.logged[0], event_id="e9")),
    ),
    "a prediction that nobody asked for": (
        Promise.TWICE,
        "predictions",
        lambda s, f: f.logged.append(Logged("e9", "z", ARM._replace(start=UNTIL), 0.5)),
    ),
    "a label that is not on the bus": (
        Promise.LOST,
        "labels",
        lambda s, f: f.labels["a"].remove(FALSE),
    ),
    "a label that nobody sent": (
        Promise.TWICE,
        "labels",
        lambda s, f: f.labels["b"].add(Label(1, UNTIL)),
    ),
    "a prediction that was not measured": (
        Promise.LOST,
        "measured n",
        lambda s, f: f.measured.update({ARM: replace(f.measured[ARM], n=1)}),
    ),
    "a prediction that was measured twice": (
        Promise.TWICE,
        "measured n",
        lambda s, f: f.measured.update({ARM: replace(f.measured[ARM], n=3)}),
    ),
    "a label that was joined twice": (
        Promise.TWICE,
        "measured labelled",
        lambda s, f: f.measured.update({ARM: replace(f.measured[ARM], labelled=3)}),
    ),
    "an arm that was never measured": (
        Promise.LOST,
        "measured n",
        lambda s, f: f.measured.clear(),
    ),
    "a correction that did not count": (
        Promise.STATE,
        "measured loss",
        lambda s, f: f.measured.update({ARM: replace(f.measured[ARM], positives=0)}),
    ),
    "a loss that is wrong": (
        Promise.STATE,
        "measured loss",
        lambda s, f: f.measured.update({ARM: replace(f.measured[ARM], loss=0.6)}),
    ),
    "an acknowledged record that is not in the lake": (
        Promise.LOST,
        "lake rows",
        lambda s, f: f.lake["trips"].pop("t1"),
    ),
    "a record that is in the lake twice": (
        Promise.TWICE,
        "lake rows",
        lambda s, f: f.lake["trips"].update(["t2"]),
    ),
    "a record that nobody sent": (
        Promise.TWICE,
        "lake rows",
        lambda s, f: f.lake["trips"].update(["t9"]),
    ),
    "two steps of one sequence": (
        Promise.TWICE,
        "rollout steps",
        lambda s, f: f.steps.insert(2, replace(f.steps[1], event_id="other")),
    ),
    "a step that was committed twice": (
        Promise.TWICE,
        "rollout steps",
        lambda s, f: f.steps.insert(2, f.steps[1]),
    ),
    "a version that is rolled out again": (
        Promise.TWICE,
        "rollouts",
        lambda s, f: f.steps.extend(
            [
                replace(step(4, "canary", 0.5, "2"), rollout_id="r2"),
                step(5, "idle", 0.0, None, champion="1", outcome="rolled_back"),
            ]
        ),
    ),
    "a step that is missing": (
        Promise.LOST,
        "rollout steps",
        lambda s, f: f.steps.pop(1),
    ),
    "a weight that fell": (
        Promise.STATE,
        "rollout steps",
        lambda s, f: f.steps.__setitem__(2, replace(f.steps[2], weight=0.25)),
    ),
    "a promotion of another version": (
        Promise.STATE,
        "rollout steps",
        lambda s, f: f.steps.__setitem__(3, replace(f.steps[3], champion="7")),
    ),
    "a rollout that came to no end": (
        Promise.STATE,
        "rollout",
        lambda s, f: f.steps.pop(),
    ),
    "a command that came to nothing": (
        Promise.LOST,
        "commands",
        lambda s, f: s.commands.add("anna-2"),
    ),
    "a command that was carried out twice": (
        Promise.TWICE,
        "commands",
        lambda s, f: f.steps.__setitem__(1, replace(f.steps[1], reason=f.steps[2].reason)),
    ),
    "a predictor with an old route": (
        Promise.STATE,
        "routes",
        lambda s, f: f.routes.update(predictor=Route(2, "probation", "1", "2", 1.0)),
    ),
    "a predictor that knows no route": (
        Promise.STATE,
        "routes",
        lambda s, f: f.routes.update(predictor=None),
    ),
    "a deployer whose state is behind": (
        Promise.STATE,
        "routes",
        lambda s, f: setattr(f, "kept", Route(2, "probation", "1", "2", 1.0)),
    ),
    "a request that is not on the bus": (
        Promise.LOST,
        "requests",
        lambda s, f: s.requests.add("q2"),
    ),
    "a request that was never decided": (
        Promise.LOST,
        "decisions",
        lambda s, f: setattr(f, "requests", frozenset({"q", "q2"})),
    ),
    "a request that waits for ever": (
        Promise.STATE,
        "decisions",
        lambda s, f: f.decisions.pop(),
    ),
    "a request that was decided twice": (
        Promise.TWICE,
        "decisions",
        lambda s, f: f.decisions.append(Decision("d2", "q", "refused")),
    ),
    "a training without an outcome": (
        Promise.LOST,
        "trainings",
        lambda s, f: f.outcomes.clear(),
    ),
    "a training with two outcomes": (
        Promise.TWICE,
        "trainings",
        lambda s, f: f.outcomes["d1"].append("m2"),
    ),
    "a training with two runs": (
        Promise.TWICE,
        "runs",
        lambda s, f: f.runs.update(q=2),
    ),
    "a version that no gate has judged": (
        Promise.LOST,
        "verdicts",
        lambda s, f: f.judged.clear(),
    ),
    "an answer that is not documented": (
        Promise.ANSWER,
        "answers",
        lambda s, f: s.answers.update([("predict", 500)]),
    ),
    "a request that was never answered": (
        Promise.ANSWER,
        "answers",
        lambda s, f: s.unanswered.append("predict does not answer"),
    ),
    "an unreadable message that was dropped": (
        Promise.LOST,
        "dead letters",
        lambda s, f: f.dead.clear(),
    ),
    "a dead letter that nobody expected": (
        Promise.DEAD,
        "dead letters",
        lambda s, f: f.dead.append(("deployer", b"{}", "TypeError: …")),
    ),
    "a refused command of somebody whose name begins with another's": (
        Promise.DEAD,
        "dead letters",
        lambda s, f: f.dead.append(("deployer", refused("anna-10"), "no rollout runs")),
    ),
    "a service that was away for most of the run": (
        Promise.ANSWER,
        "share of 503",
        lambda s, f: s.answers.update({("predict", 503): 9}),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_oracle_finds(name: str) -> None:
    promise, what, plant = FAULTS[name]
    sent, found = deepcopy(kept())
    plant(sent, found)
    violations = judge(sent, found, UNTIL)
    assert (promise, what) in {(v.promise, v.what) for v in violations}
    assert all(v.count > 0 and v.text for v in violations)


def test_fault_5_2_a_refused_command_is_found_by_its_whole_name() -> None:
    sent, found = deepcopy(kept())
    sent.commands = {"anna-1", "anna-10"}
    letter = ("deployer", refused("anna-10"), "no rollout runs")
    assert judge(sent, replace(found, dead=[*found.dead, letter]), UNTIL) == []
    (lost,) = judge(sent, found, UNTIL)
    assert (lost.promise, lost.what) == (Promise.LOST, "commands")


def test_fault_5_2_half_of_the_answers_may_be_503_and_no_more() -> None:
    sent, found = deepcopy(kept())
    sent.answers[("predict", 503)] = 6
    assert judge(sent, found, UNTIL) == []
    sent.answers[("predict", 503)] = 7
    (away,) = judge(sent, found, UNTIL)
    assert (away.what, away.count) == ("share of 503", 7)


def test_a_slice_that_is_not_over_is_not_judged_yet() -> None:
    sent, found = deepcopy(kept())
    found.measured.clear()
    assert judge(sent, found, DAY) == []


def test_a_run_without_a_rollout_is_no_proof() -> None:
    sent, found = kept()
    sent.commands.clear()
    assert Promise.STATE in {v.promise for v in judge(sent, replace(found, steps=[]), UNTIL)}


def test_a_violation_names_some_of_what_it_found_and_counts_all() -> None:
    sent, found = kept()
    sent.answered |= {f"lost-{n}" for n in range(9)}
    (violation,) = judge(sent, found, UNTIL)
    assert violation.count == 9
    assert "lost-0" in str(violation)
    assert "lost-8" not in str(violation)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.one_of(st.none(), st.floats(0, 1)), st.sampled_from("12"))
    ),
    st.dictionaries(st.integers(0, 20), st.sampled_from([TRUE, FALSE])),
)
def test_no_prediction_counts_twice_whatever_is_delivered_again(
    predictions: list[tuple[int, float | None, str]], labels: dict[int, Label]
) -> None:
    logged = [
        Logged(f"e{i}", str(name), ARM._replace(version=version), score)
        for i, (name, score, version) in enumerate(predictions)
    ]
    truth = {str(name): {label} for name, label in labels.items()}
    once = expected_measurements(logged, truth, UNTIL)
    assert expected_measurements([*logged, *logged], truth, UNTIL) == once
    assert sum(m.n for m in once.values()) == len({name for name, _, _ in predictions})
    assert all(m.labelled <= m.n - m.errors for m in once.values())
