"""Wires `drift-monitor watch`; importing this page does nothing."""

import logging
from concurrent.futures import Future
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI

from drift_monitor.settings import WatchSettings
from drift_monitor.watch.intake import Intake
from drift_monitor.watch.live import Live
from drift_monitor.watch.stream import WatchStream
from drift_monitor.watch.suspicion import Detector, Suspicions
from servicekit.bus import Bus
from servicekit.cloudevents import encode
from servicekit.component import Component
from servicekit.event import Event

log = logging.getLogger(__name__)


def build(settings: WatchSettings, bus: Bus) -> tuple[list[Component], FastAPI]:
    """Return the component of the process, and its page of live figures."""

    def adwin() -> Detector:
        from river.drift import ADWIN

        return ADWIN(delta=settings.watch_delta)

    sender = bus.sender()

    def publish(event: Event[Any]) -> None:
        sender.send(encode(event)).add_done_callback(_warn)

    intake = Intake(
        Live(scores=settings.watch_scores, baseline=settings.watch_baseline),
        Suspicions(adwin, settings.watch_cooldown),
        publish,
        max_lag=settings.watch_max_lag,
        sample=settings.watch_sample,
    )
    stream = WatchStream(settings, bus, intake, sender)
    api = FastAPI(title="drift-monitor watch", openapi_url=None)

    @api.get("/v1/live")
    def live() -> dict[str, Any]:
        """Rates and mean scores by arm, and the live drift score, as of the last second."""
        sample = stream.latest
        return {
            "arms": [asdict(arm) for arm in sample.arms],
            "drift": [asdict(drift) for drift in sample.drift],
            "lag": intake.lag,
            "sampling_rate": intake.sampling_rate,
        }

    return [stream], api


def _warn(sent: "Future[None]") -> None:
    if (error := sent.exception()) is not None:
        log.warning("a suspicion was not published: %s", error)
