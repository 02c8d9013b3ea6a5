"""One long job at a time, while the group is kept waiting politely."""

import logging
import threading
from collections.abc import Collection, Mapping
from concurrent.futures import Future, wait

from event_schemas import EventBody
from servicekit.bus import Bus, Message, Record
from servicekit.clock import Clock
from servicekit.cloudevents import decode
from servicekit.errors import FatalBusError, PoisonMessageError, UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.loop import GroupLoop
from servicekit.loops.outputs import Tally, handle
from servicekit.processor import Handler
from servicekit.telemetry.metrics import UNREADABLE

log = logging.getLogger(__name__)


class JobLoop(GroupLoop):
    """Runs a job for each event, publishes what it yields, and only then commits.

    A job may be run again after a crash, so it is idempotent by the event's id. What it yields has
    ids derived from that event: a repeated result is recognised. An outage of Kafka after the job
    does not run it again: its outcome is kept until it is published and committed. A job that runs
    when the loop is stopped is left to itself: its event was not committed, and comes again at the
    next start. A process that was stopped for so long that another has its place publishes nothing:
    before it publishes it commits where it stands, and the brokers refuse that to whoever was
    replaced.

    Args:
        letters_elsewhere: topics that another loop of the service reads as well, and whose
            unreadable messages it keeps: a second letter of the same message would only mislead.
    """

    def __init__(
        self,
        service: str,
        jobs: Mapping[type[EventBody], Handler],
        bus: Bus,
        *,
        group: str | None = None,
        member: str = "0",
        letters_elsewhere: Collection[str] = (),
        clock: Clock | None = None,
        poll_seconds: float = 0.2,
        backoff: Backoff | None = None,
    ) -> None:
        group = group or service
        topics = [body.topic() for body in jobs]
        super().__init__(
            f"{group}-{member}",
            bus.group(group=group, topics=topics, member=member),
            service=service,
            group=group,
            poll_seconds=poll_seconds,
            clock=clock,
            backoff=backoff,
        )
        self._jobs = {body.type: job for body, job in jobs.items()}
        self._letters_elsewhere = frozenset(letters_elsewhere)
        self._done: tuple[Message, list[Record], Tally] | None = None
        """The last message whose job ended, until its offset is committed."""

    def step(self) -> int:
        """Handle at most one message; returns how many.

        Raises:
            UnavailableError: the message has to be read again.
        """
        try:
            messages = self._poll(1, self._poll_seconds)
            return sum(self._do(message) for message in messages)
        except UnavailableError:
            self._rewind()
            raise

    def _do(self, message: Message) -> bool:
        """Run, publish and commit; False when the loop is stopped before the job ends."""
        done = self._done
        if done is None or done[0][:3] != message[:3]:  # topic, partition and offset
            tally = Tally()
            records = self._handle(message, tally)
            if records is None:
                return False
            self._done = done = (message, records, tally)
        _, records, tally = done
        where = (message.topic, message.partition)
        if records:
            self._session.commit({where: message.offset})  # fails for whoever was replaced
            self._session.publish(records)
        self._session.commit({where: message.offset + 1})
        self._done = None
        tally.report(self._service, records, group=self._group)
        return True

    def _handle(self, message: Message, tally: Tally) -> list[Record] | None:
        """What a message makes; None when the loop is stopped before its job ends."""
        try:
            event = decode(message)
        except PoisonMessageError as error:
            if message.topic in self._letters_elsewhere:
                UNREADABLE.labels(self._service, message.topic).inc()
                log.error("%s: passed over, its letter is another loop's: %s", self.name, error)
                return []
            return [self._dead_letter(message, error, tally)]
        try:
            job = self._jobs.get(event.body.type)
            if job is None:
                return []
            future = self._start(job, event)
            if not self._await(future):
                return None
            records = future.result()
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            return [self._dead_letter(message, error, tally)]
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

    def _await(self, future: "Future[list[Record]]") -> bool:
        """Keep polling, paused, so that the group does not take the partitions away."""
        if wait([future], timeout=self._poll_seconds).done:
            return True
        self._session.pause()
        try:
            while not self._stop.is_set():
                if wait([future], timeout=self._poll_seconds).done:
                    return True
                try:
                    self._poll(1, 0)
                except UnavailableError as error:
                    log.warning("%s: outage while a job runs: %s", self.name, error)
        finally:
            self._session.resume()
        return False
