"""Who may be retrained, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.domain import governance
from trainer.domain.governance import (
    MAX_DEFERRED,
    InFlight,
    ModelState,
    Request,
    RetrainRules,
    decide,
    judge,
)

DAY = timedelta(days=1)
T0 = datetime(2013, 4, 1, tzinfo=UTC)
RULES = RetrainRules(
    causes=frozenset({"drift", "performance", "manual"}),
    cooldown=10 * DAY,
    budget=3,
    budget_period=100 * DAY,
    min_new_rows=500,
)
TRAINED = ModelState(trained=True, trained_rows=1000, asked_rows=1000)


def request(cause: Any = "drift", *, day=0.0, name="r1"):
    return Request(name, cause, T0 + day * DAY)


def ruling(
    state=TRAINED, cause="drift", *, day=0.0, rows=10_000, rules: RetrainRules | None = RULES
):
    asked = request(cause, day=day)
    return judge(state, asked, rules, asked.event_time, rows=rows)


def test_an_unknown_model_is_refused():
    assert ruling(rules=None) == ("refused", "unknown model: no model.yaml describes it")


def test_a_need_with_enough_new_rows_is_accepted_and_the_reason_counts_them():
    decision, reason = ruling(rows=1500)
    assert decision == "accepted"
    assert reason == "drift: 500 new rows, 0 of 3 trainings in 100 days"


def test_too_few_new_rows_are_refused():
    assert ruling(rows=1499) == (
        "refused",
        "new rows: 499 of 500 since the last accepted request",
    )


def test_a_person_needs_no_new_rows():
    assert ruling(cause="manual", rows=1000)[0] == "accepted"


def test_a_cause_that_the_policy_does_not_list_is_refused():
    decision, reason = ruling(cause="schedule")
    assert decision == "refused"
    assert "schedule is not among those of the policy (drift, manual, performance)" in reason


def test_a_second_training_is_merged_into_the_one_in_flight():
    state = replace(TRAINED, in_flight=InFlight("r0", "d0", 0))
    assert ruling(state) == ("merged", "in flight: request r0 is being trained")
    assert ruling(state, "manual")[0] == "merged"


@pytest.mark.parametrize("cause", ["drift", "manual"])
def test_nothing_is_trained_during_a_rollout(cause):
    state = replace(TRAINED, rollout_id="flight_delay-2")
    assert ruling(state, cause) == (
        "deferred",
        "rollout: flight_delay-2 is running; decided again when it ends",
    )


def test_nothing_is_trained_between_an_approval_and_its_rollout():
    state = governance.version_approved(TRAINED, "2")
    decision, reason = ruling(state)
    assert decision == "deferred"
    assert "version 2 is about to be rolled out" in reason


def test_more_requests_than_may_wait_are_refused():
    waiting = tuple(request(name=f"w{i}") for i in range(MAX_DEFERRED - 1))
    state = replace(TRAINED, rollout_id="x", deferred=waiting)
    assert ruling(state)[0] == "deferred"
    state = replace(state, deferred=(*waiting, request(name="last")))
    assert ruling(state)[0] == "refused"


@pytest.mark.parametrize("cause", ["drift", "manual"])
def test_a_broken_feed_is_not_learnt_from(cause):
    state = governance.feed_broke(TRAINED, T0)
    assert ruling(state, cause) == (
        "refused",
        "broken feed: since 2013-04-01 00:00 the data cannot be trusted",
    )
    assert ruling(governance.feed_mended(state), cause)[0] == "accepted"


def test_the_cool_down_tells_how_much_of_it_has_passed():
    state = replace(TRAINED, accepted=(T0,))
    assert ruling(state, day=3.2) == (
        "refused",
        "cool-down: 3.2 of 10 days since the last accepted request",
    )
    assert ruling(state, day=10)[0] == "accepted"


def test_a_person_need_not_cool_down():
    assert ruling(replace(TRAINED, accepted=(T0,)), "manual", day=0.1)[0] == "accepted"


def test_the_budget_frees_itself_as_its_period_slides():
    spent = replace(TRAINED, accepted=(T0, T0 + 10 * DAY, T0 + 20 * DAY))
    decision, reason = ruling(spent, day=99)
    assert (decision, reason) == ("refused", "budget: 3 of 3 trainings in 100 days are spent")
    assert ruling(spent, day=100)[0] == "accepted"


def test_the_first_training_needs_data_and_nothing_else():
    new = ModelState()
    rules = replace(RULES, causes=frozenset())
    decision, reason = ruling(new, "schedule", rows=1, rules=rules)
    assert (decision, reason) == ("accepted", "first training: 1 rows have arrived")
    assert ruling(new, "manual", rows=0)[0] == "deferred"


def test_a_first_request_before_any_data_is_let_in_when_data_arrive():
    state, decision, _ = decide(ModelState(), request("manual"), RULES, T0, rows=0)
    assert decision == "deferred"
    assert governance.release(state, rows=0)[1] == ()
    state, waiting = governance.release(state, rows=100)
    assert waiting == (request("manual"),)


def test_the_rows_of_a_failed_training_are_new_again_but_its_cost_is_spent():
    state, _, _ = decide(TRAINED, request(), RULES, T0, rows=2000, decision_id="d1")
    assert state.trained_rows == 2000
    state = governance.training_failed(state, "another request")
    assert state.in_flight is not None
    state = governance.training_failed(state, "r1")
    assert state.in_flight is None
    assert state.trained_rows == 1000
    assert state.accepted == (T0,)


def test_only_the_outcome_of_its_own_decision_ends_a_training():
    state, _, _ = decide(TRAINED, request(), RULES, T0, rows=2000, decision_id="d1")
    assert governance.training_ended(state, None).in_flight is not None
    assert governance.training_ended(state, "d1").in_flight is None


def step(state, sequence, *, running, versions=("1", "2"), rollout_id="ro"):
    return governance.rollout_stepped(
        state, rollout_id=rollout_id, sequence=sequence, running=running, versions=versions
    )


def test_a_rollout_holds_from_its_first_step_to_its_last():
    state = governance.version_approved(TRAINED, "2")
    state = step(state, 1, running=True)
    assert (state.awaited_version, state.rollout_id) == (None, "ro")
    state = step(state, 2, running=False)
    assert ruling(state)[0] == "accepted"


def test_an_older_step_changes_nothing():
    state = step(TRAINED, 5, running=False)
    assert step(state, 4, running=True) == state


def test_an_approval_that_comes_after_the_steps_of_its_rollout_waits_for_nothing():
    state = step(step(TRAINED, 1, running=True), 2, running=False, versions=("1",))
    assert governance.version_approved(state, "2").awaited_version is None


def test_fault_2_2_an_approval_that_is_told_again_is_not_awaited_again():
    state = governance.version_approved(governance.version_approved(TRAINED, "2"), "3")
    state = step(state, 9, running=False, versions=("1", "3"))
    assert governance.version_approved(state, "2") == state, "the deployer took 3 in its place"


def test_the_last_step_is_enough_when_compaction_took_the_others():
    state = governance.version_approved(TRAINED, "2")
    state = step(state, 9, running=False, versions=("1",))
    assert state.awaited_version is None


def taken(state, cause, day, name, end):
    """A request is decided at a day, and its training ends."""
    asked = request(cause, day=day, name=name)
    state, decision, _ = decide(
        *(state, asked, RULES, asked.event_time), rows=10_000 * (day + 1), decision_id=f"d-{name}"
    )
    if end == "fail":
        return governance.training_failed(state, name), decision
    return governance.training_ended(state, f"d-{name}"), decision


def test_fault_4_9_the_budget_counts_neither_manual_nor_failed_trainings():
    state = TRAINED
    for n in range(4):
        state, decision = taken(state, "manual", n, f"m{n}", "end")
        assert decision == "accepted"
    for n in range(4):
        state, decision = taken(state, "drift", 20 + 11 * n, f"f{n}", "fail")
        assert decision == "accepted"
    for day in (64, 75, 86):
        state, decision = taken(state, "drift", day, f"d{day}", "end")
        assert decision == "accepted"
    _, reason = ruling(state, day=97.0, rows=10**7)
    assert reason == "budget: 3 of 3 trainings in 100 days are spent"


def test_fault_4_9_a_state_of_before_counts_all_that_it_names():
    state = replace(TRAINED, accepted=tuple(T0 + day * DAY for day in (0, 11, 22)))
    assert "3 of 3 trainings" in ruling(state, day=40.0)[1]
    state = governance.training_failed(
        replace(state, in_flight=InFlight("old", "d-old", rows_before=0)), "old"
    )
    assert "3 of 3 trainings" in ruling(state, day=40.0)[1], "what it cost is not known"


def test_rows_ask_for_a_training_once_for_each_volume():
    rules = replace(RULES, volume_rows=100)
    assert not governance.asks_by_volume(TRAINED, rules, 1099)
    assert governance.asks_by_volume(TRAINED, rules, 1100)
    state = governance.volume_asked(TRAINED, 1100)
    assert not governance.asks_by_volume(state, rules, 1199)
    assert governance.asks_by_volume(state, rules, 1200)
    assert not governance.asks_by_volume(state, RULES, 10**9)


# Anything that may happen to a model, in any order.
hours = st.integers(0, 24 * 60)
happening = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(["drift", "volume", "manual"]), hours),
    st.tuples(st.just("data"), st.integers(1, 2000)),
    st.tuples(st.just("approve")),
    st.tuples(st.just("reject")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("step"), st.booleans()),
    st.tuples(st.just("feed"), st.booleans()),
)


@given(st.lists(happening, max_size=60), st.integers(0, 5), st.integers(1, 4))
def test_whatever_happens_one_is_in_flight_the_budget_holds_and_nobody_is_forgotten(
    happenings, cooldown, budget
):
    rules = RetrainRules(
        causes=frozenset({"drift", "manual"}),
        cooldown=cooldown * DAY,
        budget=budget,
        budget_period=20 * DAY,
        min_new_rows=100,
    )
    state, rows, sequence, version = ModelState(), 0, 0, 0
    decisions: dict[str, list[str]] = {}
    accepted: list[datetime] = []
    running: set[str] = set()

    def put(asked, now):
        nonlocal state
        state, decision, reason = decide(
            state, asked, rules, now, rows=rows, decision_id=f"d-{asked.id}"
        )
        decisions.setdefault(asked.id, []).append(decision)
        assert reason
        if decision == "accepted":
            assert not running, "two in flight"
            assert state.rollout_id is None
            running.add(asked.id)
            if asked.cause != "manual":
                assert sum(t > now - rules.budget_period for t in accepted) < budget
                assert all(now - t >= rules.cooldown for t in accepted) or not state.trained
            accepted.append(now)

    for index, (kind, *details) in enumerate(happenings):
        if kind == "ask":
            asked = Request(f"r{index}", details[0], T0 + timedelta(hours=details[1]))
            put(asked, asked.event_time)
        elif kind == "data":
            rows += details[0]
        elif kind in ("approve", "reject") and running:
            version += 1
            state = governance.training_ended(state, f"d-{running.pop()}")
            if kind == "approve":
                state = governance.version_approved(state, str(version))
        elif kind == "fail" and running:
            state = governance.training_failed(state, running.pop())
        elif kind == "step":
            sequence += 1
            state = step(state, sequence, running=details[0], versions=(str(version),))
        elif kind == "feed":
            state = (
                governance.feed_broke(state, T0) if details[0] else governance.feed_mended(state)
            )
        state, waiting = governance.release(state, rows)
        for asked in waiting:
            put(asked, max(asked.event_time, T0 + timedelta(hours=24 * 60)))

    rows += 1
    state, waiting = governance.release(step(state, sequence + 1, running=False), rows)
    for asked in waiting:
        put(asked, max(asked.event_time, T0 + timedelta(hours=24 * 60)))
    assert state.deferred == ()
    for taken in decisions.values():
        assert 1 <= len(taken) <= 2 or set(taken[:-1]) == {"deferred"}
        assert taken[-1] != "deferred"
