"""Follows `rollout.step`: loads what a step names, then swaps the routes, in that order.

The routes are one immutable object that is replaced by one assignment. A request takes its route
once, so it is answered by versions that were loaded when it came; a version that no route names any
more is freed when the last request that holds it has its answer.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from event_schemas import RolloutStep
from event_schemas.model import ModelVersion
from predictor.domain.errors import LoadError, shown
from predictor.domain.routing import Arm
from predictor.serving.metrics import LOAD_FAILURES, MODELS_LOADED
from predictor.serving.routes.load import Load, lower_thread_priority
from predictor.serving.routes.loaded import LoadedRoute, LoadedRoutes, LoadedVersion
from predictor.serving.routes.loader import Loader, settle_memory
from servicekit.bus import Message, TopicView
from servicekit.cloudevents import decode
from servicekit.errors import PoisonMessageError, UnavailableError
from servicekit.loops.backoff import Backoff
from servicekit.loops.loop import Loop
from servicekit.read_to_end import key_of, report_unreadable
from servicekit.redaction import redacted

log = logging.getLogger(__name__)

MAX_UNREADABLE = 100
"""Failures that are kept when another step of a model that nobody knows cannot be read."""


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a step is not applied."""

    model: str
    sequence: int | None
    version: str | None
    reason: str
    message: str
    will_retry: bool


@dataclass(slots=True, eq=False)
class _Pending:
    """A step that is not applied yet."""

    step: RolloutStep
    backoff: Backoff
    not_before: float = 0.0
    loads: list[Load] = field(default_factory=list)
    """Of its versions, under way or done."""


class RolloutFollower(Loop):
    """Keeps the routes; runs on a thread of its own, the requests only read `routes`.

    It is ready once the topic was read to its end, and each model in it had a route, or cannot have
    one. It stays so, since a model that is announced later must not take the others away from the
    callers. For one that may have a route later it waits a while, and for the first one always.

    Args:
        view: opens a view of `rollout.step`; called on the thread that runs.
        load_patience_seconds: how long a load is waited for before the other steps go on.
        ready_patience_seconds: how long models that have no route yet keep the others back.
        settle: called after something was loaded.
        now: monotonic seconds.
    """

    def __init__(
        self,
        view: Callable[[], TopicView],
        loader: Loader,
        *,
        poll_seconds: float = 0.2,
        load_patience_seconds: float = 2.0,
        ready_patience_seconds: float = 60.0,
        settle: Callable[[], None] = settle_memory,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__("rollout-follower")
        self._open_view = view
        self._view: TopicView | None = None
        self._loader = loader
        self._poll_seconds = poll_seconds
        self._settle = settle
        self._now = now
        self._load_patience = load_patience_seconds
        self._ready_patience = ready_patience_seconds
        self._caught_up = False
        self._caught_up_at: float | None = None
        self._pending: dict[str, _Pending] = {}
        self._newest: dict[str, int] = {}
        """Highest sequence seen of each model."""
        self.routes: LoadedRoutes = LoadedRoutes()
        """What requests take; replaced as a whole."""
        self.failures: dict[str, LoadFailure] = {}
        """Newest failure of each model whose newest step is not applied; replaced as a whole."""
        self.tried = False
        """Whether the topic was read to its end, and each model in it was loaded, or failed to."""

    def run(self, stop: threading.Event) -> None:
        """See `Loop.run`."""
        lower_thread_priority()
        super().run(stop)

    def _turn(self) -> None:
        if not self.step():
            self._stop.wait(0.01)  # a view in memory does not wait by itself

    def close(self) -> None:
        """Close the view."""
        view, self._view = self._view, None
        if view is not None:
            view.close()

    def step(self) -> int:
        """Take the messages that have come, and load the versions to try now; see `Loop.step`."""
        if self._view is None:
            self._loader.warm_up()
            self._view = self._open_view()
        messages = self._view.poll(self._poll_seconds)
        for message in messages:
            self._take(message)
        # Until the end is reached, the next poll may replace what this one asks for.
        if self._caught_up or self._view.caught_up:
            self._apply_pending()
            self._caught_up = True
            self._judge_readiness()
        return len(messages)

    def _judge_readiness(self) -> None:
        if self._caught_up_at is None:
            self._caught_up_at = self._now()
        overdue = self._now() >= self._caught_up_at + self._ready_patience
        missing = self._newest.keys() - self.routes.by_model.keys()
        hopeful = {
            model
            for model in missing
            if model not in self.failures or self.failures[model].will_retry
        }
        some = bool(self.routes.by_model) and (overdue or not hopeful)
        if some and missing and not self.ready:
            log.warning("ready without %s, which could not be loaded", ", ".join(sorted(missing)))
        self.ready = self.ready or not missing or some
        self.tried = self.tried or missing <= self.failures.keys() or some

    def _take(self, message: Message) -> None:
        key = key_of(message)
        if message.value is None:
            self._remove(key)
            return
        try:
            step = decode(message).body
            if not isinstance(step, RolloutStep):
                raise LoadError("step", f"{step.type} has no place in the topic rollout.step")
        except (PoisonMessageError, LoadError) as error:
            report_unreadable("predictor", message, error)
            known = key in self._newest
            if known or len(self.failures) < MAX_UNREADABLE:
                model = key if known else shown(key)
                self._failed(LoadFailure(model, None, None, "step", str(error), will_retry=False))
            return
        if step.sequence <= self._newest.get(step.model, -1):
            return
        self._newest[step.model] = step.sequence
        before = self._pending.get(step.model)
        self._pending[step.model] = _Pending(
            step,
            Backoff(base=0.5, cap=15.0),
            # What is on its way is mostly of the new step as well.
            loads=[each for each in before.loads if _names(step, each.version)] if before else [],
        )
        if step.model not in self.routes.by_model:
            self._swap(self.routes.awaiting(step.model))

    def _remove(self, model: str) -> None:
        self._pending.pop(model, None)
        self._newest.pop(model, None)
        self._clear_failure(model)
        if model in self.routes.by_model:
            log.info("%s is served no more: its rollout was deleted", model)
        self._swap(self.routes.without(model))

    def _apply_pending(self) -> None:
        tried: list[_Pending] = []
        while (pending := self._next(tried)) is not None:
            loads = not self._is_loaded(pending.step)
            tried.append(pending)
            if self._apply(pending):
                del self._pending[pending.step.model]
            if loads and self._view is not None:
                # A load may take long: what was said meanwhile may be a rollback.
                for message in self._view.poll(0):
                    self._take(message)

    def _next(self, tried: Sequence[_Pending]) -> _Pending | None:
        """The step to apply now: one whose versions are loaded goes past those that have to be."""
        due = [
            pending
            for pending in self._pending.values()
            if pending not in tried and self._now() >= pending.not_before
        ]
        return min(due, key=lambda pending: not self._is_loaded(pending.step), default=None)

    def _is_loaded(self, step: RolloutStep) -> bool:
        route = self.routes.by_model.get(step.model)
        loaded = route.versions if route else ()
        wanted = [version for version in (step.champion, step.challenger) if version]
        return all(any(each.is_of(version) for each in loaded) for version in wanted)

    def _apply(self, pending: _Pending) -> bool:
        """Load what the step names and swap; returns whether nothing is left to try."""
        step = pending.step
        failures: list[LoadFailure] = []
        champion = self._find_or_load(pending, step.champion, failures)
        challenger = None
        if step.challenger is not None and (champion is not None or failures):
            challenger = self._find_or_load(pending, step.challenger, failures)
        current = self.routes.by_model.get(step.model)
        whole = champion is not None and (challenger is not None or step.challenger is None)
        if champion is not None and (whole or current is None):
            route = _route(step, champion, challenger)
            self._swap(self.routes.having(route))
            log.info(
                "%s: step %d in force, champion %s, challenger %s, weight %g",
                step.model,
                step.sequence,
                champion.version,
                challenger and challenger.version,
                route.weight,
            )
        if not failures:
            if whole:
                self._clear_failure(step.model)
            return whole
        for failure in failures:
            self._failed(failure)
        pending.not_before = self._now() + pending.backoff.next()
        return not any(failure.will_retry for failure in failures)

    def _find_or_load(
        self, pending: _Pending, version: ModelVersion, failures: list[LoadFailure]
    ) -> LoadedVersion | None:
        """The version; None while it is under way, and where it failed."""
        step = pending.step
        route = self.routes.by_model.get(step.model)
        for loaded in route.versions if route else ():
            if loaded.is_of(version):
                return loaded
        load = next((each for each in pending.loads if each.version == version), None)
        patience = 0.0 if load else self._load_patience
        if load is None:
            load = Load(self._loader, version)
            pending.loads.append(load)
        try:
            loaded = load.result(patience)
        except LoadError as error:
            reason, text, retry = error.reason, str(error), False
        except UnavailableError as error:
            reason, text, retry = "unavailable", str(error), True
        except Exception as error:
            log.exception("loading %s version %s", version.model, version.version)
            reason, text, retry = "bug", f"{type(error).__name__}: {error}", False
        else:
            if loaded is not None:
                self._settle()
            return loaded
        pending.loads.remove(load)
        failures.append(
            LoadFailure(step.model, step.sequence, version.version, reason, text, retry)
        )
        return None

    def _swap(self, routes: LoadedRoutes) -> None:
        self.routes = routes
        MODELS_LOADED.set(sum(len(route.versions) for route in routes.by_model.values()))

    def _failed(self, failure: LoadFailure) -> None:
        # A key of Kafka may be anything, and a label may not.
        known = failure.model in self._newest
        LOAD_FAILURES.labels(failure.model if known else "", failure.reason).inc()
        log.error(
            "%s: step %s, version %s is not in force (%s)%s: %s",
            failure.model,
            failure.sequence,
            failure.version,
            failure.reason,
            ", trying again" if failure.will_retry else "",
            failure.message,
        )
        failure = replace(failure, message=redacted(failure.message))
        self.failures = {**self.failures, failure.model: failure}

    def _clear_failure(self, model: str) -> None:
        self.failures = {m: failure for m, failure in self.failures.items() if m != model}


def _names(step: RolloutStep, version: ModelVersion) -> bool:
    return version in (step.champion, step.challenger)


def _route(
    step: RolloutStep, champion: LoadedVersion, challenger: LoadedVersion | None
) -> LoadedRoute:
    """The step as a route; without its challenger, the champion answers everything."""
    versions = (champion, challenger) if challenger else (champion,)
    announced = (step.champion, step.challenger) if challenger else (step.champion,)
    ignored = (version.ignored_inputs for version in announced if version is not None)
    return LoadedRoute(
        model=step.model,
        rollout_id=step.rollout_id,
        sequence=step.sequence,
        phase=step.phase,
        weight=step.weight if challenger else 0.0,
        salt=step.salt,
        champion=Arm("champion", champion),
        challenger=Arm("challenger", challenger) if challenger else None,
        shadow=step.shadow if challenger else 0.0,
        requested=frozenset().union(
            *(version.signature.requested for version in versions), *ignored
        ),
    )
