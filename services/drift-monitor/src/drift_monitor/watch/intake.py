"""Takes messages as they come, reads all or a sample of them, and never raises."""

import logging
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from drift_monitor.handlers.answers import answer_of
from drift_monitor.metrics import DRIFT_SCORE
from drift_monitor.watch import metrics
from drift_monitor.watch.live import Live, Sample
from drift_monitor.watch.suspicion import Suspicion, Suspicions
from event_schemas import DriftSuspected, PredictionLogged
from servicekit.bus import Message
from servicekit.cloudevents import decode
from servicekit.event import Event, caused_by

log = logging.getLogger(__name__)

SOURCE = "/tailrace/drift-monitor"


class Intake:
    """Everything that `watch` does with a message, without Faust."""

    def __init__(
        self,
        live: Live,
        suspicions: Suspicions,
        publish: Callable[[Event[Any]], None],
        *,
        max_lag: int,
        sample: float,
    ) -> None:
        self._live = live
        self._suspicions = suspicions
        self._publish = publish
        self._max_lag = max_lag
        self._sample = sample
        self._lags: dict[int, int] = {}
        self._sampling = False

    @property
    def sampling_rate(self) -> float:
        """Share of the predictions that is read."""
        return self._sample if self._sampling else 1.0

    @property
    def lag(self) -> int:
        """Predictions that wait in all partitions."""
        return sum(self._lags.values())

    def set_lag(self, partition: int, behind: int) -> None:
        """Set how many messages of a partition wait; sampling ends at half the limit."""
        self._lags[partition] = max(behind, 0)
        limit = self._max_lag // 2 if self._sampling else self._max_lag
        sampling = self.lag > limit
        if sampling != self._sampling:
            self._sampling = sampling
            metrics.SAMPLING_RATE.set(self.sampling_rate)
            log.warning(
                "%d predictions behind: looking at %.0f %% of them",
                self.lag,
                100 * self.sampling_rate,
            )

    def take(self, message: Message) -> None:
        """Read one message; count it and go on if anything is wrong with it."""
        if self._sampling and not in_sample(message.key or b"", self._sample):
            metrics.SKIPPED.inc()
            return
        try:
            event = decode(message)
            if not isinstance(event.body, PredictionLogged):
                raise TypeError(f"{event.body.type} is no prediction")
            self._add(event)
        except Exception as error:
            # Nothing here may end the stream; windows keeps the dead letter of this message.
            metrics.UNREADABLE.labels(type(error).__name__).inc()
            log.warning("%s[%d]@%d: %s", message.topic, message.partition, message.offset, error)

    def sample(self, now: float) -> Sample:
        """Set the gauges to what happens now, and return it."""
        sample = self._live.sample(now)
        for arm in sample.arms:
            labels = (arm.model, arm.version, arm.arm)
            metrics.RATE.labels(*labels).set(arm.rate)
            if arm.mean_score is not None:
                metrics.MEAN_SCORE.labels(*labels).set(arm.mean_score)
        for labels in sample.forgotten:
            metrics.forget(*labels)
        for drift in sample.drift:
            DRIFT_SCORE.labels(drift.model, "score").set(drift.score)
        metrics.LAG.set(self.lag)
        return sample

    def _add(self, event: Event[PredictionLogged]) -> None:
        body = event.body
        if body.pinned:
            return  # Whoever names the version is a tester, and no part of the traffic.
        answer = answer_of(body)
        score = answer and answer.number
        self._live.add(
            body.model,
            body.version,
            body.arm,
            weight=body.weight,
            score=score,
            bounded=answer is not None and answer.task != "regression",
            stands_for=1 / (self.sampling_rate * (body.sampling_rate or 1.0)),
        )
        # Detector and distance are made for probabilities.
        if answer is None or answer.task == "regression" or body.arm == "shadow":
            return
        found = self._suspicions.add(body.model, body.version, answer.number, body.event_time)
        if found is not None:
            self._suspect(event, found)

    def _suspect(self, event: Event[PredictionLogged], found: Suspicion) -> None:
        log.info(
            "%s version %s: the scores changed, mean now %.3f, since %s",
            found.model,
            found.version,
            found.value,
            found.since.isoformat(),
        )
        metrics.SUSPICIONS.labels(found.model).inc()
        body = DriftSuspected(
            model=found.model,
            version=found.version,
            detector="adwin",
            value=found.value,
            since=found.since,
        )
        self._publish(caused_by(event, body, index=0, source=SOURCE, time=datetime.now(UTC)))


def in_sample(key: bytes, share: float) -> bool:
    """Return whether the prediction with this key is read; the same ones in every process."""
    return zlib.crc32(key) < share * 2**32
