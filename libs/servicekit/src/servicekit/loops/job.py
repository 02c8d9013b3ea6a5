"""One long job at a time, while the group is kept waiting politely."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait

from event_schemas import EventBody
from servicekit.bus import Bus, GroupSession, Message, Record
from servicekit.clock import Clock, SystemClock
from servicekit.cloudevents import decode
from servicekit.deadletter import dead_letter
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.lag import LagGauge
from servicekit.loops.offset_reset import Move, Moved, move_group
from servicekit.loops.outages import keep_turning
from servicekit.loops.outputs import Tally, handle
from servicekit.processor import Handler

log = logging.getLogger(__name__)

_NEVER = threading.Event()


class JobLoop:
    """Runs a job for each event, publishes what it yields, and only then commits.

    A job may be run again after a crash, so it is idempotent by the event's id. What it yields has
    ids derived from that event: a repeated result is recognised. An outage of Kafka after the job
    does not run it again: its outcome is kept until it is published and committed.
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
        self._group = group or service
        self._jobs = {body.type: job for body, job in jobs.items()}
        self._session: GroupSession = bus.group(
            group=self._group, topics=[body.topic() for body in jobs], member=member
        )
        self._lag = LagGauge(self._group, self._session)
        self._clock = clock or SystemClock()
        self._poll_seconds = poll_seconds
        self._backoff = backoff or Backoff()
        self._done: tuple[Message, list[Record], Tally] | None = None
        """The last message whose job ended, until its offset is committed."""
        self.ready = False

    def run(self, stop: threading.Event) -> None:
        """Turn until `stop` is set; an outage is waited out.

        A job that runs when `stop` is set is left to itself: its event was not committed, and comes
        again at the next start.

        Raises:
            FatalBusError: the process has to be started again.
        """

        def turn() -> None:
            if not self.ready:
                self.open()
            self.step(stop)

        try:
            keep_turning(self.name, turn, stop, self._backoff)
        finally:
            self.close()

    def open(self) -> None:
        """Join the group."""
        self._session.open()
        self.ready = True

    def close(self) -> None:
        """Leave, without waiting for a job that runs."""
        self.ready = False
        self._session.close()

    def move(self, move: Move) -> Moved:
        """See `Movable.move`."""
        return move_group(self.name, self._session, move)

    def step(self, stop: threading.Event | None = None) -> int:
        """Handle at most one message; returns how many.

        Raises:
            UnavailableError: the message has to be read again.
        """
        try:
            messages = self._session.poll(1, self._poll_seconds)
            self._lag.look()
            for message in messages:
                if not self._do(message, stop or _NEVER):
                    return 0
        except UnavailableError:
            self._rewind()
            raise
        return len(messages)

    def _rewind(self) -> None:
        try:
            self._session.rewind()
        except UnavailableError:
            self.ready = False

    def _do(self, message: Message, stop: threading.Event) -> bool:
        """Run, publish and commit; False when the service stops before the job ends."""
        done = self._done
        if done is None or _place(done[0]) != _place(message):
            tally = Tally()
            records = self._handle(message, tally, stop)
            if records is None:
                return False
            self._done = done = (message, records, tally)
        _, records, tally = done
        self._session.publish(records)
        self._session.commit({(message.topic, message.partition): message.offset + 1})
        self._done = None
        tally.report(self._service, records, group=self._group)
        return True

    def _handle(self, message: Message, tally: Tally, stop: threading.Event) -> list[Record] | None:
        """What a message makes; None when the service stops before its job ends."""
        try:
            event = decode(message)
            job = self._jobs.get(event.body.type)
            if job is None:
                return []
            future = self._start(job, event)
            if not self._await(future, stop):
                return None
            records = future.result()
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            log.exception(
                "dead letter: %s[%d]@%d", message.topic, message.partition, message.offset
            )
            tally.dead[type(error).__name__] += 1
            return [dead_letter(f"{self._service}.dead", message, error, self._clock.now())]
        tally.handled[event.body.type] += 1
        return records

    def _start(self, job: Handler, event: Event) -> "Future[list[Record]]":
        """Run the job on a thread that does not keep the process from ending."""
        future: Future[list[Record]] = Future()

        def work() -> None:
            try:
                future.set_result(handle(event, job, service=self._service, clock=self._clock))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name=f"{self.name}-job", daemon=True).start()
        return future

    def _await(self, future: "Future[list[Record]]", stop: threading.Event) -> bool:
        """Keep polling, paused, so that the group does not take the partitions away."""
        if wait([future], timeout=self._poll_seconds).done:
            return True
        self._session.pause()
        try:
            while not stop.is_set():
                if wait([future], timeout=self._poll_seconds).done:
                    return True
                try:
                    self._session.poll(1, 0)
                    self._lag.look()
                except UnavailableError as error:
                    log.warning("%s: outage while a job runs: %s", self.name, error)
        finally:
            self._session.resume()
        return False


def _place(message: Message) -> tuple[str, int, int]:
    return message.topic, message.partition, message.offset
