"""Closes what event time has made due: slices are measured, windows are judged."""

import logging
from collections.abc import Iterator
from dataclasses import replace

from drift_monitor.domain.plan import HOUR
from drift_monitor.domain.slices import Slice
from drift_monitor.domain.verdicts import Streak, Verdict
from drift_monitor.domain.windows import Window
from drift_monitor.handlers import metrics
from drift_monitor.handlers.events import arm_measured, drift_cleared, drift_detected
from drift_monitor.handlers.judging import Judging, Seen
from drift_monitor.handlers.plans import Plans
from drift_monitor.handlers.tables import State, key_of
from drift_monitor.ports import DriftReports, References
from event_schemas import EventBody
from servicekit.errors import UnavailableError
from servicekit.telemetry.committed import when_committed

log = logging.getLogger(__name__)


class Closing:
    """Reads the slices and windows that are due, and yields what they say."""

    def __init__(
        self,
        state: State,
        plans: Plans,
        references: References,
        reports: DriftReports,
        *,
        remind_windows: int,
    ) -> None:
        self._state = state
        self._plans = plans
        self._judging = Judging(state, plans, references, reports)
        self._remind = remind_windows

    def next_due(self, model: str) -> int | None:
        """Watermark at which the next slice or window of a model is due."""
        slices = (s.due for _, s in self._state.slices.items() if _waits(s, model))
        windows = (w.due for _, w in self._state.windows.items() if w.model == model)
        return min((*slices, *windows), default=None)

    def close_due(self, model: str, watermark: int) -> Iterator[EventBody]:
        """Measure slices, measure again those that late labels changed, and judge windows."""
        yield from self._measure(model, watermark)
        self._let_go(model, watermark)
        due = [
            (key, window)
            for key, window in self._state.windows.items()
            if window.model == model and window.due <= watermark
        ]
        for key, window in sorted(due, key=lambda item: (item[1].end, item[0])):
            yield from self._close(key, window, watermark)

    def close_early(self, model: str, version: str, watermark: int) -> Iterator[EventBody]:
        """Judge the window that the watermark stands in, if it has rows enough for a verdict."""
        plan = self._plans.of_version(model, version)
        key = key_of(model, version, watermark // plan.window * plan.window)
        window = self._state.windows.get(key)
        if window is None or window.rows < plan.min_rows or window.start >= watermark:
            return
        part = replace(window, end=min(window.end, watermark))
        try:
            seen = self._judging.judge(key, part)
        except UnavailableError as error:
            log.warning("%s version %s does not close early: %s", model, version, error)
            return
        log.info("%s version %s: the window closes early, drift is suspected", model, version)
        yield from self._say(part, seen)
        self.drop(key, window)
        self._state.windows.put(key, window.rest(watermark))

    def drop(self, key: str, window: Window) -> None:
        """Forget a window and its rows."""
        self._state.rows.drop(key, window.part, window.chunks)
        self._state.windows.delete(key)

    def _measure(self, model: str, watermark: int) -> Iterator[EventBody]:
        slices = [(key, s) for key, s in self._state.slices.items() if s.model == model]
        if not any(_waits(s, model) and s.due <= watermark for _, s in slices):
            return
        for key, slice_ in sorted(slices, key=lambda item: (item[1].end, item[0])):
            if slice_.changed and slice_.due <= watermark:
                after = slice_.measured()
                self._state.slices.put(key, after)
                known = {name: self._state.replicas.get(name) for name in after.replicas}
                version = self._state.versions.get(key_of(model, after.version))
                yield arm_measured(after, known, version)

    def _let_go(self, model: str, watermark: int) -> None:
        """Forget slices that no label can change any more, and replicas that are long silent."""
        ttl = self._plans.of_model(model).label_ttl
        for key, slice_ in self._state.slices.items():
            over = slice_.end + ttl + HOUR <= watermark
            if slice_.model == model and over and slice_.revision >= 0:
                self._state.slices.delete(key)
        # A replica answers for several models, whose event times differ: the slowest decides.
        times = [clock.watermark.time for _, clock in self._state.clocks.items()]
        slowest = min((time for time in times if time is not None), default=watermark)
        for name, sequences in self._state.replicas.items():
            if sequences.seen + ttl + HOUR <= min(slowest, watermark):
                self._state.replicas.delete(name)

    def _close(self, key: str, window: Window, watermark: int) -> Iterator[EventBody]:
        """Judge a window, or put it off for an hour of event time while its reference is away.

        The windows and slices of others go on; after as long as a window lasts it is judged by its
        labels alone.
        """
        length = window.end - window.aligned
        over = watermark >= window.end + length + self._plans.of_model(window.model).lateness
        try:
            seen = self._judging.judge(key, window)
        except UnavailableError as error:
            if not over:
                log.warning("a window of %s waits for its reference: %s", window.model, error)
                when_committed(metrics.WINDOWS_PUT_OFF.labels(window.model).inc)
                self._state.windows.put(key, replace(window, due=watermark + HOUR))
                return
            seen = self._judging.judge(key, window, compare=False)
        yield from self._say(window, seen)
        self.drop(key, window)

    def _say(self, window: Window, seen: Seen) -> Iterator[EventBody]:
        said = [(verdict, self._after(window, verdict)) for verdict in seen.verdicts]
        uri = seen.save(html=any(what == "detected" for _, what in said))
        for verdict, what in said:
            log.info(
                "%s version %s: %s is %s (%s)",
                window.model,
                window.version,
                verdict.kind,
                verdict.outcome.value,
                verdict.reason,
            )
            if what == "detected":
                yield drift_detected(window, verdict, uri)
            elif what == "cleared":
                yield drift_cleared(window, verdict)

    def _after(self, window: Window, verdict: Verdict) -> str | None:
        key = key_of(window.model, window.version, verdict.kind)
        plan = self._plans.of_version(window.model, window.version)
        before = self._state.streaks.get(key) or Streak()
        # A feed that is gone leaves no room for chance, and a retraining on it must be held back.
        consecutive = 1 if verdict.kind == "broken_feed" else plan.consecutive
        after, what = before.after(verdict.outcome, consecutive=consecutive, remind=self._remind)
        if after != before:
            self._state.streaks.put(key, after)
        if after.active and not before.active:
            # Of a week that was closed early, this window is the rest, and the first part counted.
            earlier = max(0, consecutive - 1 - (window.start > window.aligned))
            self._tell_delay(window, verdict.kind, earlier * plan.window)
        return what

    def _tell_delay(self, window: Window, kind: str, before: int) -> None:
        """How long a drift went on before this window, with `before` ahead of it, told of it."""
        clock = self._state.clocks.get(window.model)
        now = clock.watermark.time if clock is not None else None
        delay = (window.end if now is None else now) - (window.aligned - before)
        when_committed(metrics.DETECT_SECONDS.labels(window.model, kind).observe, delay / 1e6)


def _waits(slice_: Slice, model: str) -> bool:
    return slice_.model == model and slice_.revision < 0
