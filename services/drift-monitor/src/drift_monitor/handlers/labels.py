"""Labels: which are taken, and what they correct."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from drift_monitor.domain.join import Waiting, with_label
from drift_monitor.domain.loss import LossSums
from drift_monitor.domain.slices import Slice
from drift_monitor.handlers.answers import Answers
from drift_monitor.handlers.dropped import drop
from drift_monitor.handlers.events import micros
from drift_monitor.handlers.plans import Plans
from drift_monitor.handlers.tables import JoinTable, State, key_of, parts_of
from event_schemas import EventBody, LabelArrived
from event_schemas.task import InvalidLabelError
from servicekit.clock import Clock
from servicekit.event import Event


class Labels:
    """Joins labels with what is known of their predictions.

    Args:
        state: of all windows.
        plans: of the versions.
        answers: what labels cost, by the task of a version.
        most_waiting: labels of one model that may wait for their prediction.
        max_future: how far ahead of the clock a label may have been observed.
        clock: wall time.
    """

    def __init__(
        self,
        state: State,
        plans: Plans,
        answers: Answers,
        *,
        most_waiting: int,
        max_future: timedelta,
        clock: Clock,
    ) -> None:
        self._state = state
        self._plans = plans
        self._answers = answers
        self._most_waiting = most_waiting
        self._max_future = max_future
        self._clock = clock

    def on_label_arrived(self, event: Event[LabelArrived]) -> Iterator[EventBody]:
        """Count the loss of a prediction whose label has come, or was corrected.

        Raises:
            InvalidLabelError: no answer of the model has such a label, or it was observed in the
                future.
        """
        body = event.body
        label, observed = body.label, micros(body.observed_at)
        latest = self._clock.now() + self._max_future
        if body.observed_at > latest:
            raise InvalidLabelError(
                f"observed_at is {body.observed_at.isoformat()}, which lies ahead of the clock,"
                f" after {latest.isoformat(timespec='seconds')} (MAX_LABEL_FUTURE_SECONDS): send"
                " when the truth became known"
            )
        if not self._is_known(body.model):
            drop("unknown", "label of a model that nobody knows")
            return
        key = JoinTable.key(body.model, body.prediction_id)
        self._answers.check(body.model, self._state.join.get(key), label)
        self._label(body, key, label, observed)
        shadow = JoinTable.shadow_key(body.model, body.prediction_id)
        if shadow in self._state.join:
            self._label(body, shadow, label, observed)
        yield from ()

    def _label(self, body: LabelArrived, key: str, label: float | str, observed: int) -> None:
        known = self._state.join.get(key)
        clock = self._state.clocks.get(body.model)
        watermark = clock.watermark.time if clock is not None else None
        if known is None and observed < self._plans.horizon(body.model, watermark):
            drop(body.model, "label of no prediction")
            return
        after = with_label(known, label, observed)
        if after is None:
            return
        self._state.join.put(key, after)
        if not after.predicted:
            self._bound_labels(body.model)
        if known is None or not after.complete or known.label == label:
            return
        slice_ = self._state.slices.get(after.slice)
        if slice_ is not None:
            loss = self._corrected(slice_.loss, slice_, known, after)
            self._state.slices.put(after.slice, slice_.with_loss(loss))
            version = slice_.version
            window_key = key_of(body.model, version, after.window)
            window = self._state.windows.get(window_key) if after.window != -1 else None
            if window is not None and window.part == after.part:
                loss = self._corrected(window.loss, slice_, known, after)
                self._state.windows.put(window_key, window.with_loss(loss))

    def _corrected(self, sums: LossSums, slice_: Slice, known: Waiting, after: Waiting) -> LossSums:
        who = slice_.model, slice_.version
        with suppress(InvalidLabelError):  # It waited for the prediction, and counted nowhere.
            sums = sums.changed(self._answers.cost(*who, known), -1)
        return sums.changed(self._answers.cost(*who, after), 1)

    def _is_known(self, model: str) -> bool:
        """Whether the model serves, was trained, or has answered."""
        state = self._state
        return (
            state.serving.get(model) is not None
            or state.clocks.get(model) is not None
            or any(parts_of(key)[0] == model for key, _ in state.versions.scan())
        )

    def _bound_labels(self, model: str) -> None:
        """Let the oldest label without a prediction go where too many wait."""
        if oldest := self._state.join.oldest_label(model, self._most_waiting):
            self._state.join.delete(oldest)
            drop(model, "label without a prediction, and too many wait")
