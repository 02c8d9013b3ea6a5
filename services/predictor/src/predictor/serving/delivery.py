"""Ends predictions: logs them, and then answers whoever waits."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence

from predictor.domain.admission import Admission
from predictor.domain.deadlines import too_late
from predictor.domain.errors import CannotAnswerError
from predictor.ports import Journal
from predictor.serving.counting import count_answers
from predictor.serving.metrics import UNLOGGED, UNSAMPLED
from predictor.serving.prediction import OnDone, Prediction, in_time
from predictor.serving.record import PredictionLog
from predictor.serving.shadow import Shadow
from servicekit.clock import Clock
from servicekit.errors import ServicekitError

log = logging.getLogger(__name__)


class Delivery:
    """Answers predictions, those that are logged once they are in the log."""

    def __init__(
        self, journal: Journal, clock: Clock, admission: Admission, shadow: Shadow | None
    ) -> None:
        self._log = PredictionLog(journal, clock)
        self._admission = admission
        self._shadow = shadow

    def log_and_answer(self, batch: Sequence[Prediction]) -> None:
        """Log and answer predictions that have their score or error."""
        # A number of the sequence is for what is logged: a hole in it is a loss.
        logged = [each for each in batch if each.logged]
        if len(logged) < len(batch):
            unlogged = [each for each in batch if not each.logged]
            self.answer(unlogged, None)
            self._admission.measure(len(unlogged))
            for model, count in Counter(each.route.model for each in unlogged).items():
                UNSAMPLED.labels(model).inc(count)
        if not logged:
            return

        def on_done(sent: int, error: ServicekitError | None) -> None:
            if error is not None:
                UNLOGGED.inc(sent)
            failure = error and CannotAnswerError("log_unavailable", str(error))
            self.answer(logged[:sent], failure)
            self._admission.measure(sent)
            if self._shadow is not None:
                self._shadow.offer(logged[:sent])

        sent = self._log.record(logged, on_done)
        if sent < len(logged):
            UNLOGGED.inc(len(logged) - sent)
            full = CannotAnswerError(
                "log_full", "too many predictions wait to be logged: try again in a moment"
            )
            self.answer(logged[sent:], full)

    def answer(self, batch: Sequence[Prediction], failure: Exception | None) -> None:
        """Call `on_done` of those that somebody waits for."""
        answered: list[Prediction] = []
        for prediction in batch:
            on_done = self.release(prediction)
            if on_done is None:
                continue
            prediction.failure = failure
            try:
                on_done(prediction)
            except Exception:  # nobody else's answer is to suffer
                log.exception("telling of prediction %s", prediction.prediction_id)
            if prediction.trouble is None:
                answered.append(prediction)
        count_answers(answered)

    def release(self, prediction: Prediction) -> OnDone | None:
        """Take a prediction from whoever waits for it; returns its `on_done`."""
        on_done, prediction.on_done = prediction.on_done, None
        if on_done is not None:
            self._admission.finish(prediction.route.model)
            if prediction.timer is not None:
                prediction.timer.cancel()
        return on_done

    def drop_late(self, batch: Sequence[Prediction]) -> list[Prediction]:
        """Refuse what is past its deadline; returns what is worth the work."""
        worth, late = in_time(batch, time.perf_counter())
        for each in late:
            self.expire(each)
        return worth

    def expire_in_time(self, prediction: Prediction) -> None:
        """Refuse a prediction at its deadline, whatever it waits for then."""
        left = max(0.0, prediction.deadline - time.perf_counter())
        loop = asyncio.get_running_loop()
        prediction.timer = loop.call_later(left, self.expire, prediction)

    def expire(self, prediction: Prediction) -> None:
        """Refuse a prediction whose deadline has passed."""
        self.answer((prediction,), too_late(prediction.deadline - prediction.arrived))

    def fail(self, batch: Sequence[Prediction], error: Exception) -> None:
        """Refuse a batch over a bug."""
        log.exception("a batch of %d failed", len(batch))
        self.answer(batch, error)
