"""The Faust part of `watch`: a stream of predictions into the intake, and a timer."""

import asyncio
import logging
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift_monitor.settings import WatchSettings
from drift_monitor.watch import metrics
from drift_monitor.watch.credentials import credentials
from drift_monitor.watch.faust_patches import import_faust
from drift_monitor.watch.intake import Intake
from drift_monitor.watch.live import Sample
from event_schemas import PredictionLogged
from servicekit.bus import Bus, Message, Sender
from servicekit.errors import UnavailableError
from servicekit.loops.backoff import Backoff

if TYPE_CHECKING:
    import faust

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""After which a stream that does not end is left to end with the process."""
STEADY_SECONDS = 30.0
"""After which a stream counts as healthy, so that it restarts soon after its next failure."""
LAG_EVERY = 100
"""Messages after which the lag is read again."""


class WatchStream:
    """Runs a Faust app on an event loop of its own, again and again until it is to stop.

    Faust's own worker wants the main thread, which serves HTTP; a stream that fails, or a broker
    that is away, is tried again with an app made anew.
    """

    name = "watch"

    def __init__(
        self,
        settings: WatchSettings,
        bus: Bus,
        intake: Intake,
        sender: Sender,
        *,
        backoff: Backoff | None = None,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._intake = intake
        self._sender = sender
        self._backoff = backoff or Backoff()
        self.ready = False
        """Whether partitions are assigned."""
        self.latest = Sample()
        """The last sample; replaced as a whole, so any thread may read it."""

    def run(self, stop: threading.Event) -> None:
        """See `Component.run`."""
        import_faust(self._settings.kafka_broker_kind)
        try:
            self._run(stop)
        finally:
            if lost := self._sender.close(STOP_SECONDS):
                log.warning("%d suspicions were not published", lost)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            try:
                self._ensure_topic()
                with tempfile.TemporaryDirectory(prefix="watch-") as folder, asyncio.Runner() as r:
                    r.run(self._stream(stop, Path(folder)))
                if stop.is_set():
                    return
                reason = "it ended by itself"
            except UnavailableError as error:
                reason = str(error)
            # Whatever Faust or its client raised, a new app may do better.
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
            finally:
                self.ready = False
            if time.monotonic() - began > STEADY_SECONDS:
                self._backoff.reset()
            wait = self._backoff.next()
            metrics.RESTARTS.inc()
            log.warning("the stream starts again in %.1f s: %s", wait, reason)
            stop.wait(wait)

    def _ensure_topic(self) -> None:
        """Make the topic, by a view: Faust subscribes only to topics that exist."""
        view = self._bus.view(PredictionLogged.topic())
        try:
            view.poll(0.0)
        finally:
            view.close()

    async def _stream(self, stop: threading.Event, folder: Path) -> None:
        app = self._app(folder)
        try:
            await app.start()
            while not (stop.is_set() or app.should_stop):  # noqa: ASYNC110
                # Another thread sets the event.
                await asyncio.sleep(0.1)
            if app.crash_reason is not None:
                raise app.crash_reason
        finally:
            self.ready = False
            try:
                await asyncio.wait_for(app.stop(), STOP_SECONDS)
            except TimeoutError:
                log.warning("the stream did not end within %.0f s", STOP_SECONDS)

    def _app(self, folder: Path) -> "faust.App":
        import faust

        settings = self._settings
        brokers = ";".join(f"kafka://{b}" for b in settings.kafka_bootstrap_servers.split(","))
        app = faust.App(
            settings.watch_group,
            broker=brokers,
            broker_credentials=credentials(settings),
            datadir=str(folder),
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            broker_max_poll_records=500,
            consumer_group_instance_id=f"{settings.watch_group}-{settings.replica_slot}",
            # Nothing relies on a message being looked at, so an end need not wait for any.
            stream_wait_empty=False,
        )
        topic = app.topic(PredictionLogged.topic(), key_serializer="raw", value_serializer="raw")
        intake = self._intake

        async def take(stream: Any) -> None:
            count = 0
            async for event in stream.events():
                raw = event.message
                intake.take(
                    Message(
                        raw.topic,
                        raw.partition,
                        raw.offset,
                        raw.key,
                        raw.value,
                        tuple(raw.headers or ()),
                        int((raw.timestamp or 0) * 1000),
                    )
                )
                count += 1
                if count % LAG_EVERY == 0:
                    # Also lets the timer have its turn between two messages of a full buffer.
                    await asyncio.sleep(0)
                    self._note_lag(app, raw.tp, raw.offset)

        async def sample() -> None:
            try:
                self.ready = bool(app.consumer.assignment())
                self.latest = intake.sample(time.monotonic())
            except Exception:
                # A timer that raises ends the whole app.
                log.exception("no sample this second")

        app.agent(topic, name="watch", concurrency=1)(take)
        app.timer(1.0)(sample)
        return app

    def _note_lag(self, app: "faust.App", where: Any, offset: int) -> None:
        end = app.consumer.highwater(where)
        if end is not None:
            self._intake.set_lag(where.partition, end - offset - 1)
