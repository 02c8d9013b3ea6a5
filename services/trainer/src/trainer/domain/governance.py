"""Which requests for retraining are granted: one pure decision on the frozen state of a model.

Time is event time, in aware datetimes, and is always passed in. A training in flight, a rollout and
a broken feed hold back every request; cool-down, budget and new rows hold back those that no person
made. The first training of a model needs data, and none of the causes, cool-down or new rows.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

Cause = Literal["drift", "performance", "volume", "schedule", "manual"]
Decision = Literal["accepted", "merged", "deferred", "refused"]

MAX_DEFERRED = 100
"""Requests of one model that may wait for the end of a rollout; more are refused."""
MAX_PROBLEM = 2000
"""Characters of what is wrong with a folder that a decision tells."""
REMEMBERED = 1000
"""Request ids of one model that are remembered, to decide each of them once."""


@dataclass(frozen=True, slots=True)
class RetrainRules:
    """When a model may be retrained."""

    causes: frozenset[str] = frozenset({"drift", "performance", "manual"})
    """Causes that may start a training."""
    cooldown: timedelta = timedelta(days=7)
    """Shortest time between an accepted request and the next that no person made."""
    budget: int = 20
    """Trainings within `budget_period` from which only people are granted more; what people asked
    for, and what failed, does not count."""
    budget_period: timedelta = timedelta(days=365)
    """Sliding period over which the budget counts."""
    min_new_rows: int = 1000
    """New rows since the last training that make a retraining worth it."""
    volume_rows: int | None = None
    """New rows that request a retraining by themselves; None: never."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for retraining."""

    id: str
    cause: Cause
    event_time: datetime
    """Event time at which the need was seen."""


@dataclass(frozen=True, slots=True)
class InFlight:
    """The training that runs."""

    request_id: str
    decision_id: str
    """Id of the event that accepted it; what the training publishes names it as its cause."""
    rows_before: int
    """`trained_rows` before it was accepted, restored when it fails."""
    spent: datetime | None = None
    """What it took of the budget, given back when it fails; None for what a person asked for."""
    since: datetime | None = None
    """Wall time at which it was first seen to run."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """All that the governor remembers of one model."""

    in_flight: InFlight | None = None
    awaited_version: str | None = None
    """An approved version whose rollout has not been seen yet."""
    rollout_id: str | None = None
    """The rollout that runs."""
    rollout_sequence: int = -1
    """Newest step that was seen."""
    rolled_out: tuple[str, ...] = ()
    """Versions that the newest steps named, oldest first."""
    approved: tuple[str, ...] = ()
    """The newest versions whose approval was seen: each is awaited once."""
    broken_feed_since: datetime | None = None
    accepted: tuple[datetime, ...] = ()
    """Event times of the accepted requests that may still count, ascending."""
    spent: tuple[datetime, ...] | None = None
    """Those of them that count for the budget; None in a state of before, where all do."""
    trained_rows: int = 0
    """Rows of the training dataset when the last training was accepted."""
    asked_rows: int = 0
    """Rows of the training dataset when their number last asked for a training."""
    trained: bool = False
    """Whether there has ever been a version."""
    deferred: tuple[Request, ...] = ()
    """Requests that wait for the end of a rollout, in the order in which they came."""
    decided: tuple[str, ...] = field(default=())
    """The newest request ids that were decided."""


def decide(
    state: ModelState,
    request: Request,
    rules: RetrainRules | None,
    now: datetime,
    *,
    rows: int,
    decision_id: str = "",
    problem: str | None = None,
) -> tuple[ModelState, Decision, str]:
    """The state after a request, what becomes of it, and the rule that decided, in a sentence.

    Args:
        state: the model's state before.
        request: the request; it is the caller's matter not to pass one twice (`is_known`).
        rules: the model's policy; None for a model that nobody has described.
        now: event time.
        rows: rows of the training dataset that have arrived.
        decision_id: id of the event that will publish the decision.
        problem: why nothing can be trained by the model's folder as it is.
    """
    decision, reason = judge(state, request, rules, now, rows=rows, problem=problem)
    state = replace(state, decided=(*state.decided, request.id)[-REMEMBERED:])
    if decision == "deferred":
        state = replace(state, deferred=(*state.deferred, request))
    elif decision == "accepted" and rules is not None:
        spends = None if request.cause == "manual" else now
        paid = _paid(state) if spends is None else (*_paid(state), spends)
        state = replace(
            state,
            in_flight=InFlight(
                request.id, decision_id, rows_before=state.trained_rows, spent=spends
            ),
            accepted=_still_counting((*state.accepted, now), rules),
            spent=_still_counting(paid, rules),
            trained_rows=rows,
            asked_rows=rows,
        )
    return state, decision, reason


def judge(
    state: ModelState,
    request: Request,
    rules: RetrainRules | None,
    now: datetime,
    *,
    rows: int,
    problem: str | None = None,
) -> tuple[Decision, str]:
    """What becomes of a request, and the rule that decided, in a sentence."""
    if problem is not None:
        return "refused", f"invalid model folder: {problem[:MAX_PROBLEM]}"
    if rules is None:
        return "refused", "unknown model: no model.yaml describes it"
    if state.broken_feed_since is not None:
        since = f"{state.broken_feed_since:%Y-%m-%d %H:%M}"
        return "refused", f"broken feed: since {since} the data cannot be trusted"
    first = not state.trained
    if not first and request.cause not in rules.causes:
        allowed = ", ".join(sorted(rules.causes))
        return "refused", f"cause: {request.cause} is not among those of the policy ({allowed})"
    if state.in_flight is not None:
        return "merged", f"in flight: request {state.in_flight.request_id} is being trained"
    if (waiting := _rollout(state)) is not None:
        if len(state.deferred) >= MAX_DEFERRED:
            return "refused", f"rollout: {MAX_DEFERRED} requests wait already for {waiting}"
        return "deferred", f"rollout: {waiting}; decided again when it ends"
    if first and rows == 0:
        return "deferred", "no data: 0 rows have arrived; decided again when they do"
    if request.cause != "manual":
        refusal = _spent(state, rules, now, first=first)
        if refusal is not None:
            return "refused", refusal
    new_rows = rows - state.trained_rows
    if first:
        return "accepted", f"first training: {rows} rows have arrived"
    if request.cause != "manual" and new_rows < rules.min_new_rows:
        return "refused", (
            f"new rows: {new_rows} of {rules.min_new_rows} since the last accepted request"
        )
    return "accepted", (
        f"{request.cause}: {new_rows} new rows, {_in_period(state, rules, now)} of {rules.budget}"
        f" trainings in {_days(rules.budget_period)} days"
    )


def is_known(state: ModelState, request_id: str) -> bool:
    """Whether a request was decided before."""
    return request_id in state.decided


def release(state: ModelState, rows: int) -> tuple[ModelState, tuple[Request, ...]]:
    """Take out the requests that were put off, once what they waited for is over."""
    if _rollout(state) is not None or (rows == 0 and not state.trained):
        return state, ()
    return replace(state, deferred=()), state.deferred


def asks_by_volume(state: ModelState, rules: RetrainRules, rows: int) -> bool:
    """Whether so many rows are new since the last request that they ask for a training."""
    since = max(state.trained_rows, state.asked_rows)
    return rules.volume_rows is not None and rows - since >= rules.volume_rows


def volume_asked(state: ModelState, rows: int) -> ModelState:
    """Remember that this many rows have asked."""
    return replace(state, asked_rows=rows)


def training_ended(state: ModelState, decision_id: str | None) -> ModelState:
    """After a version came out of the training that a decision started."""
    state = replace(state, trained=True)
    if state.in_flight is not None and state.in_flight.decision_id == decision_id:
        state = replace(state, in_flight=None)
    return state


def training_failed(state: ModelState, request_id: str) -> ModelState:
    """After a training ended without a version: its rows are new again, and its cost is given back.

    The cool-down goes on, so that what fails is not tried without end.
    """
    failed = state.in_flight
    if failed is None or failed.request_id != request_id:
        return state
    paid = list(_paid(state))
    if failed.spent is not None and failed.spent in paid:
        paid.remove(failed.spent)
    return replace(state, in_flight=None, trained_rows=failed.rows_before, spent=tuple(paid))


def overdue(
    state: ModelState, wall: datetime, limit: timedelta
) -> tuple[ModelState, InFlight | None]:
    """Look at the training in flight, at a wall time.

    Returns:
        The state that remembers since when it runs, and the training when no end of it was told
        within the limit.
    """
    running = state.in_flight
    if running is None:
        return state, None
    if running.since is None:
        return replace(state, in_flight=replace(running, since=wall)), None
    return state, running if wall - running.since > limit else None


def version_approved(state: ModelState, version: str) -> ModelState:
    """After an approval: its rollout is to come, unless it has been seen already.

    One that is told again is not: its rollout may be over, or a newer version took its place.
    """
    state = replace(state, trained=True)
    if version in state.approved or version in state.rolled_out:
        return state
    approved = (*state.approved, version)[-REMEMBERED:]
    return replace(state, approved=approved, awaited_version=version)


def rollout_stepped(
    state: ModelState,
    *,
    rollout_id: str,
    sequence: int,
    running: bool,
    versions: tuple[str, ...],
) -> ModelState:
    """After a step of a rollout; one older than the newest seen changes nothing.

    A step that ends a rollout ends the wait for the awaited one too: the topic is compacted, so the
    steps between may never be seen.
    """
    if sequence <= state.rollout_sequence:
        return state
    awaited = state.awaited_version
    return replace(
        state,
        rollout_id=rollout_id if running else None,
        rollout_sequence=sequence,
        rolled_out=tuple(dict.fromkeys((*state.rolled_out, *versions)))[-REMEMBERED:],
        awaited_version=None if not running or awaited in versions else awaited,
        trained=True,
    )


def feed_broke(state: ModelState, since: datetime) -> ModelState:
    """From now on the data of the model cannot be trusted."""
    return replace(state, broken_feed_since=state.broken_feed_since or since)


def feed_mended(state: ModelState) -> ModelState:
    """The data of the model can be trusted again."""
    return replace(state, broken_feed_since=None)


def _rollout(state: ModelState) -> str | None:
    if state.rollout_id is not None:
        return f"{state.rollout_id} is running"
    if state.awaited_version is not None:
        return f"version {state.awaited_version} is about to be rolled out"
    return None


def _spent(state: ModelState, rules: RetrainRules, now: datetime, *, first: bool) -> str | None:
    if not first and state.accepted and now - state.accepted[-1] < rules.cooldown:
        elapsed, cooldown = _days(now - state.accepted[-1]), _days(rules.cooldown)
        return f"cool-down: {elapsed} of {cooldown} days since the last accepted request"
    count = _in_period(state, rules, now)
    if count >= rules.budget:
        period = _days(rules.budget_period)
        return f"budget: {count} of {rules.budget} trainings in {period} days are spent"
    return None


def _in_period(state: ModelState, rules: RetrainRules, now: datetime) -> int:
    return sum(time > now - rules.budget_period for time in _paid(state))


def _paid(state: ModelState) -> tuple[datetime, ...]:
    return state.accepted if state.spent is None else state.spent


def _still_counting(times: tuple[datetime, ...], rules: RetrainRules) -> tuple[datetime, ...]:
    ordered = sorted(times)
    return tuple(t for t in ordered if t > ordered[-1] - rules.budget_period)


def _days(time: timedelta) -> str:
    return f"{time / timedelta(days=1):.1f}".removesuffix(".0")
