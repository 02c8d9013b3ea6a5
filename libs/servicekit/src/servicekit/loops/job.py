"""One long job at a time, while the group is kept waiting politely."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from event_schemas import EventBody
from servicekit.bus import Bus, GroupSession, Message, Record
from servicekit.clock import Clock, SystemClock
from servicekit.cloudevents import decode, encode
from servicekit.deadletter import dead_letter
from servicekit.errors import UnavailableError
from servicekit.event import Event, caused_by
from servicekit.loops.backoff import Backoff
from servicekit.processor import Handler
from servicekit.telemetry.metrics import DEAD_LETTERS, EVENTS_HANDLED, EVENTS_PUBLISHED
from servicekit.telemetry.tracing import handling

log = logging.getLogger(__name__)


class JobLoop:
    """Runs a job for each event, publishes what it yields, and only then commits.

    A job may be run again after a crash, so it is idempotent by the event's id. What it yields has
    ids derived from that event: a repeated result is recognised.
    """

    def __init__(
        self,
        service: str,
        jobs: Mapping[type[EventBody], Handler],
        bus: Bus,
        *,
        group: str | None = None,
        member: str = "0",
        clock: Clock | None = None,
        poll_seconds: float = 0.2,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = f"{group or service}-{member}"
        self._service = service
        self._jobs = {body.type: job for body, job in jobs.items()}
        self._session: GroupSession = bus.group(
            group=group or service, topics=[body.topic() for body in jobs], member=member
        )
        self._clock = clock or SystemClock()
        self._poll_seconds = poll_seconds
        self._backoff = backoff or Backoff()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{service}-job")
        self.ready = False

    def run(self, stop: threading.Event) -> None:
        """Turn until `stop` is set; an outage is waited out.

        A job that runs when `stop` is set is left to itself: its event was not committed, and comes
        again at the next start.

        Raises:
            FatalBusError: the process has to be started again.
        """
        try:
            while not stop.is_set():
                try:
                    if not self.ready:
                        self._session.open()
                        self.ready = True
                    self.step(stop)
                    self._backoff.reset()
                except UnavailableError as error:
                    self._session.rewind()
                    wait = self._backoff.next()
                    log.warning("outage, trying again in %.1f s: %s", wait, error)
                    stop.wait(wait)
        finally:
            self.close()

    def open(self) -> None:
        """Join the group."""
        self._session.open()
        self.ready = True

    def close(self) -> None:
        """Leave, without waiting for a job that runs."""
        self.ready = False
        self._executor.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def step(self, stop: threading.Event | None = None) -> int:
        """Handle at most one message; returns how many.

        Raises:
            UnavailableError: the message has to be read again.
        """
        messages = self._session.poll(1, self._poll_seconds)
        for message in messages:
            records = self._handle(message, stop or threading.Event())
            if records is None:
                return 0
            self._session.publish(records)
            self._session.commit({(message.topic, message.partition): message.offset + 1})
        return len(messages)

    def _handle(self, message: Message, stop: threading.Event) -> list[Record] | None:
        """What a message makes; None when the service stops before its job ends."""
        try:
            event = decode(message)
            job = self._jobs.get(event.body.type)
            if job is None:
                return []
            bodies = self._await(self._executor.submit(self._call, job, event), stop)
            if bodies is None:
                return None
            records = self._encode(event, *bodies)
        except UnavailableError:
            raise
        except Exception as error:
            log.exception(
                "dead letter: %s[%d]@%d", message.topic, message.partition, message.offset
            )
            DEAD_LETTERS.labels(self._service, type(error).__name__).inc()
            return [dead_letter(f"{self._service}.dead", message, error, self._clock.now())]
        EVENTS_HANDLED.labels(self._service, event.body.type).inc()
        return records

    def _call(self, job: Handler, event: Event) -> tuple[list[EventBody], str | None]:
        with handling(event, self._service) as traceparent:
            return list(job(event)), traceparent

    def _await(
        self, future: "Future[tuple[list[EventBody], str | None]]", stop: threading.Event
    ) -> tuple[list[EventBody], str | None] | None:
        """Keep polling, paused, so that the group does not take the partitions away."""
        self._session.pause()
        try:
            while not stop.is_set():
                try:
                    return future.result(timeout=self._poll_seconds)
                except TimeoutError:
                    if future.done():
                        raise
                    self._session.poll(1, 0)
        finally:
            self._session.resume()
        return None

    def _encode(
        self, event: Event, bodies: list[EventBody], traceparent: str | None
    ) -> list[Record]:
        counts: Counter[str] = Counter()
        records = []
        for body in bodies:
            output = caused_by(
                event,
                body,
                index=counts[body.type],
                source=f"/tailrace/{self._service}",
                time=self._clock.now(),
                traceparent=traceparent,
            )
            counts[body.type] += 1
            EVENTS_PUBLISHED.labels(self._service, body.type).inc()
            records.append(encode(output))
        return records
