"""Takes predictions, labels and rollouts, and yields measurements and drift."""

import logging
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import cast

from drift_monitor.domain.join import NAN, Waiting
from drift_monitor.domain.loss import Cost
from drift_monitor.domain.plan import Plan, floor, in_force
from drift_monitor.domain.sequences import Sequences
from drift_monitor.domain.slices import Slice
from drift_monitor.domain.verdicts import Kind
from drift_monitor.domain.windows import Window, sample_hash
from drift_monitor.handlers import metrics
from drift_monitor.handlers.answers import Answer, Answers, answer_of
from drift_monitor.handlers.closing import Closing
from drift_monitor.handlers.dropped import drop
from drift_monitor.handlers.events import micros, moment
from drift_monitor.handlers.labels import Labels
from drift_monitor.handlers.plans import Plans
from drift_monitor.handlers.tables import (
    MAX_ROW_BYTES,
    EventClock,
    JoinTable,
    RowsTable,
    Serving,
    State,
    key_of,
    parts_of,
)
from drift_monitor.ports import DriftReports, References
from event_schemas import (
    DriftCleared,
    DriftSuspected,
    EventBody,
    LabelArrived,
    ModelTrained,
    PredictionLogged,
    RolloutStep,
)
from event_schemas.base import TimeRange
from event_schemas.model import ModelVersion
from event_schemas.task import InvalidLabelError
from servicekit.clock import Clock, SystemClock
from servicekit.event import Event
from servicekit.processor import Processor
from servicekit.telemetry.committed import when_committed

log = logging.getLogger(__name__)

SERVICE = "drift-monitor"


class WindowsHandlers:
    """The handlers and their state."""

    def __init__(
        self,
        references: References,
        reports: DriftReports,
        *,
        max_jump: timedelta = timedelta(days=7),
        jump_votes: int = 3,
        back_votes: int = 100,
        max_waiting_labels: int = 100_000,
        max_label_future: timedelta = timedelta(minutes=5),
        clock: Clock | None = None,
        remind_windows: int = 4,
    ) -> None:
        self.state = State()
        self._plans = Plans(self.state)
        self._answers = Answers(self.state)
        self._closing = Closing(
            self.state, self._plans, references, reports, remind_windows=remind_windows
        )
        self._told: Collection[tuple[str, str]] = ()
        """Models and kinds of drift that Prometheus has heard of."""
        self._late: set[str] = set()
        """Models of which a prediction came too late to count; of each one is logged."""
        self._max_jump = max_jump // timedelta(microseconds=1)
        self._jump_votes = jump_votes
        self._back_votes = back_votes
        self._labels = Labels(
            self.state,
            self._plans,
            self._answers,
            most_waiting=max_waiting_labels,
            max_future=max_label_future,
            clock=clock or SystemClock(),
        )

    @property
    def processor(self) -> Processor:
        """What the loop runs; policies are read before the predictions that they judge."""
        return Processor(
            SERVICE,
            {
                ModelTrained: self.on_model_trained,
                RolloutStep: self.on_rollout_step,
                PredictionLogged: self.on_prediction_logged,
                LabelArrived: self._labels.on_label_arrived,
                DriftSuspected: self.on_drift_suspected,
            },
            self.state.tables,
            self.measure,
        )

    def measure(self) -> None:
        """Tell Prometheus what drifts, and how far event time has come."""
        found: dict[tuple[str, str], tuple[bool, int]] = dict.fromkeys(self._told, (False, 0))
        for key, streak in self.state.streaks.scan():
            model, _, kind = parts_of(key)
            active, bad = found.get((model, kind), (False, 0))
            found[model, kind] = (active or streak.active, max(bad, streak.bad))
        self._told = found.keys()
        for labels, (active, bad) in found.items():
            metrics.DRIFT_ACTIVE.labels(*labels).set(active)
            metrics.BAD_WINDOWS.labels(*labels).set(bad)
            # A series that began at its first detection would hide it from increase().
            metrics.DETECT_SECONDS.labels(*labels)
        for model, clock in self.state.clocks.scan():
            if clock.watermark.time is not None:
                metrics.WATERMARK.labels(model).set(clock.watermark.time / 1e6)
        metrics.WAITING.set(len(self.state.join))

    def on_prediction_logged(self, event: Event[PredictionLogged]) -> Iterator[EventBody]:
        """Count a prediction, and close what its event time has made due.

        Raises:
            InvalidAnswerError: no version answers so.
        """
        body = event.body
        time = micros(body.event_time)
        answer = answer_of(body)
        answer_bin = answer and self._answers.bin_of(body.model, body.version, answer)
        self._note_sequence(body, time)
        if body.pinned:
            # Its caller chose the version, so it is no draw between the arms.
            drop(body.model, "version named by the caller")
            return
        clock = self.state.clocks.get(body.model) or EventClock()
        watermark = clock.watermark.time
        if time < self._plans.horizon(body.model, watermark):
            self._too_late(body.model, clock, time)
            return
        key, known, label, labelled = self._known(body)
        if known is not None and known.predicted:
            drop(body.model, "repeated prediction")
            return
        plan = self._plans.of_version(body.model, body.version)

        slice_key, slice_ = self._slice(body, time, plan, watermark)
        slice_ = slice_.predicted(
            answer_bin=answer_bin,
            latency_ms=body.latency.total_ms,
            replica=body.replica,
            sequence=body.sequence,
            sampling_rate=body.sampling_rate,
        )
        due = slice_.due if slice_.revision < 0 else None
        aligned, part, window, window_key = -1, 0, None, ""
        if answer_bin is not None and self._may_open(body):
            window_key, window = self._window(body, time, plan, watermark)
        if window is not None and answer_bin is not None:
            aligned, part = window.aligned, window.part
            due = min(due, window.due) if due is not None else window.due
            window = self._sampled(window_key, window, body, answer_bin, plan)
        waiting = _waiting(answer, time, slice_key, (aligned, part), (label, labelled))
        if (cost := self._cost(body, waiting)) is not None:
            slice_ = slice_.with_loss(slice_.loss.changed(cost, 1))
            if window is not None:
                window = window.with_loss(window.loss.changed(cost, 1))
        self.state.slices.put(slice_key, slice_)
        if window is not None:
            self.state.windows.put(window_key, window)
        self.state.join.put(key, waiting)
        yield from self._advance(body.model, clock, time, due)

    def on_model_trained(self, event: Event[ModelTrained]) -> Iterator[EventBody]:
        """Know the version's policies and its reference."""
        self._know(event.body.version)
        yield from ()

    def on_rollout_step(self, event: Event[RolloutStep]) -> Iterator[EventBody]:
        """Know which version serves; forget what drifted for an older one."""
        step = event.body
        before = self.state.serving.get(step.model)
        if before is not None and step.sequence <= before.sequence:
            return
        self._know(step.champion)
        if step.challenger is not None:
            self._know(step.challenger)
        takes_over = step.challenger is not None and in_force("challenger", step.weight)
        version = (step.challenger if takes_over and step.challenger else step.champion).version
        retired = [v for v in (before.retired if before else ()) if v != version]
        if before is not None and before.version != version:
            retired.append(before.version)
            log.info(
                "%s: version %s takes over from %s at step %d",
                step.model,
                version,
                before.version,
                step.sequence,
            )
        self.state.serving.put(step.model, Serving(version, step.sequence, tuple(retired[-100:])))
        if before is None or before.version != version:
            yield from self._forget_others(step.model, version)

    def on_drift_suspected(self, event: Event[DriftSuspected]) -> Iterator[EventBody]:
        """Judge the current window now, if it holds enough rows for a verdict."""
        body = event.body
        clock = self.state.clocks.get(body.model)
        if clock is None or clock.watermark.time is None:
            return
        yield from self._closing.close_early(body.model, body.version, clock.watermark.time)

    def _too_late(self, model: str, clock: EventClock, time: int) -> None:
        drop(model, "prediction later than its label's wait")
        before, after = clock.watermark, clock.watermark.too_late(time, self._back_votes)
        if model not in self._late:
            self._late.add(model)
            log.warning(
                "%s: a prediction of %s is not counted: event time is at %s, and LABEL_TTL ago"
                " everything was let go; %d in a row set event time back where fewer supported it;"
                " further ones are counted alone",
                *(model, moment(time), moment(before.time or 0), self._back_votes),
            )
        if after is before:
            return
        if after.behind:
            self.state.clocks.put(model, replace(clock, watermark=after))
            return
        log.warning(
            "%s: event time is set back from %s to %s, as %d predictions in a row lay there",
            *(model, moment(before.time or 0), moment(after.time or 0), self._back_votes),
        )
        when_committed(metrics.TIME_SET_BACK.labels(model).inc)
        # What the wrong time made due is judged by it, and new slices begin at the true one.
        horizon = self._plans.horizon(model, after.time)
        self.state.clocks.put(
            model, EventClock(after, self._closing.next_due(model), min(clock.expired, horizon))
        )

    def _advance(
        self, model: str, clock: EventClock, time: int, due: int | None
    ) -> Iterator[EventBody]:
        watermark = clock.watermark.saw(time, self._max_jump, self._jump_votes)
        if due is None or (clock.due is not None and clock.due <= due):
            due = clock.due
        expired = clock.expired
        if watermark.time is not None:
            horizon = self._plans.horizon(model, watermark.time)
            if horizon > expired:
                for key in self.state.join.expired(model, horizon):
                    self.state.join.delete(key)
                expired = horizon
        if watermark is not clock.watermark or due != clock.due or expired != clock.expired:
            clock = EventClock(watermark, due, expired)
            self.state.clocks.put(model, clock)
        if watermark.time is not None and due is not None and watermark.time >= due:
            yield from self._closing.close_due(model, watermark.time)
            due = self._closing.next_due(model)
            self.state.clocks.put(model, replace(clock, due=due))

    def _cost(self, body: PredictionLogged, waiting: Waiting) -> Cost | None:
        """What a prediction cost whose label waited for it."""
        try:
            return self._answers.cost(body.model, body.version, waiting)
        except InvalidLabelError:
            # It was taken before anybody knew what the version answers.
            drop(body.model, "label that its version cannot have")
            return None

    def _known(self, body: PredictionLogged) -> tuple[str, Waiting | None, float | str, int]:
        """The key of a prediction, what is known under it, and the label with its time."""
        answered_key = JoinTable.key(body.model, body.prediction_id)
        answered = self.state.join.get(answered_key)
        label, labelled = (answered.label, answered.labelled) if answered else (NAN, 0)
        if body.arm != "shadow":
            return answered_key, answered, label, labelled
        key = JoinTable.shadow_key(body.model, body.prediction_id)
        return key, self.state.join.get(key), label, labelled

    def _note_sequence(self, body: PredictionLogged, time: int) -> None:
        known = self.state.replicas.get(body.replica)
        if known is None:
            after = Sequences(body.sequence, body.sequence, (), time)
        else:
            after = known.received(body.sequence, time)
        if after is not known:
            self.state.replicas.put(body.replica, after)

    def _slice(
        self, body: PredictionLogged, time: int, plan: Plan, watermark: int | None
    ) -> tuple[str, Slice]:
        start = floor(time, plan.slice)
        arm = (body.model, body.version, body.arm, body.rollout_id, body.weight)
        key = key_of(*arm, start)
        known = self.state.slices.get(key)
        if known is not None:
            return key, known
        end = start + plan.slice
        due = end + plan.lateness
        if watermark is not None and due <= watermark:
            # Born late: measured when the next slice is, and not prediction by prediction.
            due = floor(watermark - plan.lateness, plan.slice) + plan.slice + plan.lateness
        return key, Slice(*arm, start, end, due)

    def _may_open(self, body: PredictionLogged) -> bool:
        if not in_force(body.arm, body.weight):
            return False
        serving = self.state.serving.get(body.model)
        return serving is None or body.version not in serving.retired

    def _window(
        self, body: PredictionLogged, time: int, plan: Plan, watermark: int | None
    ) -> tuple[str, Window | None]:
        aligned = floor(time, plan.window)
        key = key_of(body.model, body.version, aligned)
        known = self.state.windows.get(key)
        if known is not None:
            return key, known
        end = aligned + plan.window
        due = end + plan.lateness
        if watermark is not None and due <= watermark:
            drop(body.model, "prediction later than its window")
            return key, None
        serving = self.state.serving.get(body.model)
        part = serving.sequence << 10 if serving is not None else 0
        return key, Window(body.model, body.version, aligned, aligned, end, due, part)

    def _sampled(
        self, key: str, window: Window, body: PredictionLogged, answer_bin: int, plan: Plan
    ) -> Window:
        hashed = sample_hash(body.prediction_id)
        if hashed >= window.bar:
            return window.predicted(answer_bin, kept=False, chunks=window.chunks)
        row = RowsTable.row(hashed, body.features)
        if len(row) > MAX_ROW_BYTES:
            drop(body.model, "row too large to be compared")
            return window.predicted(answer_bin, kept=False, chunks=window.chunks)
        chunks = self.state.rows.add(key, window.part, window.chunks, row)
        window = window.predicted(answer_bin, kept=True, chunks=chunks)
        if window.kept <= 2 * plan.sample_rows:
            return window
        rows = self.state.rows.of_window(key, window.part, chunks)
        return window.with_bar([RowsTable.hash_of(row) for row in rows], plan.sample_rows)

    def _know(self, version: ModelVersion) -> None:
        key = key_of(version.model, version.version)
        if self.state.versions.get(key) != version:
            self.state.versions.put(key, version)

    def _forget_others(self, model: str, version: str) -> Iterator[EventBody]:
        for key, window in self.state.windows.items():
            if window.model == model and window.version != version:
                self._closing.drop(key, window)
        clock = self.state.clocks.get(model)
        now = moment(clock.watermark.time if clock and clock.watermark.time else 0)
        for key, streak in self.state.streaks.items():
            of_model, old, kind = parts_of(key)
            if of_model != model or old == version:
                continue
            self.state.streaks.delete(key)
            if streak.active:
                yield DriftCleared(
                    model=model,
                    version=old,
                    kind=cast(Kind, kind),
                    window=TimeRange(start=now, end=now),
                    reason=f"version {version} took over; it is judged by its own reference",
                )


def _waiting(
    answer: Answer | None,
    time: int,
    slice_key: str,
    window: tuple[int, int],
    label: tuple[float | str, int],
) -> Waiting:
    if answer is None:
        return Waiting(time, slice_key, *window, NAN, *label)
    return Waiting(time, slice_key, *window, answer.number, *label, answer.task, answer.scores)
