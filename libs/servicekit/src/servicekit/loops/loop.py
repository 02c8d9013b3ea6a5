"""What the loops share: they step until they are stopped, and wait outages out."""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from servicekit.bus import GroupSession, Message, PartitionOffset, Record, TransactionalSession
from servicekit.clock import Clock, SystemClock
from servicekit.deadletter import dead_letter
from servicekit.errors import PoisonMessageError, UnavailableError
from servicekit.loops.backoff import Backoff
from servicekit.loops.offset_reset import OffsetReset, ResetReport
from servicekit.loops.outputs import Tally
from servicekit.telemetry.metrics import CONSUMER_LAG, OUTAGES

log = logging.getLogger(__name__)

S = TypeVar("S", GroupSession, TransactionalSession)

LAG_SECONDS = 2.0
"""How often the lag is measured."""


class Loop(ABC):
    """Steps until it is stopped; after an UnavailableError it waits, and steps again.

    Every other exception comes through, and ends the process.
    """

    def __init__(self, name: str, *, backoff: Backoff | None = None) -> None:
        self.name = name
        self.ready = False
        self._backoff = backoff or Backoff()
        self._stop = threading.Event()
        """What `run` was given."""

    def run(self, stop: threading.Event) -> None:
        """Step until `stop` is set.

        Raises:
            FatalBusError: the process has to be started again.
        """
        self._stop = stop
        try:
            while not stop.is_set():
                try:
                    self._turn()
                except UnavailableError as error:
                    OUTAGES.labels(self.name).inc()
                    wait = self._backoff.next()
                    log.warning("%s: outage, trying again in %.1f s: %s", self.name, wait, error)
                    stop.wait(wait)
                else:
                    self._backoff.reset()
        finally:
            self.close()

    def _turn(self) -> None:
        self.step()

    @abstractmethod
    def step(self) -> int:
        """Handle what has come; returns the number of messages.

        Raises:
            UnavailableError: call it again later.
        """

    @abstractmethod
    def close(self) -> None:
        """Leave; what was not committed will be read again."""


class SessionLoop(Loop, Generic[S]):
    """Reads a session, which it opens again where an outage asks for it.

    Args:
        service: prefix of the dead letters' topic.
        group: consumer group; default: the service.
        poll_seconds: longest wait for a first message, and so for a stop.
    """

    def __init__(
        self,
        name: str,
        session: S,
        *,
        service: str,
        group: str | None = None,
        poll_seconds: float,
        clock: Clock | None,
        backoff: Backoff | None,
    ) -> None:
        super().__init__(name, backoff=backoff)
        self._session: S = session
        self._service = service
        self._group = group or service
        self._poll_seconds = poll_seconds
        self._clock = clock or SystemClock()
        self._next_lag = 0.0

    def _turn(self) -> None:
        if not self.ready:
            self.open()
        self.step()

    def open(self) -> None:
        """Open the session, and bring back what an earlier process left.

        Raises:
            UnavailableError: open again later.
        """
        self._session.open()
        self._restore()
        self.ready = True

    def _restore(self) -> None:
        """Bring back what an earlier process left."""

    def close(self) -> None:
        """See `Loop.close`."""
        self.ready = False
        self._session.close()

    def reset_offsets(self, reset: OffsetReset) -> ResetReport:
        """Set where the next start goes on; the loop must not be open.

        Raises:
            RefusedResetError: nothing was done.
            UnavailableError: nothing was done.
            FatalBusError: a process of the same slot or member came in between.
        """
        self._session.open()
        try:
            offsets = self._session.offsets(reset.start)
            forgotten = self._commit_reset(offsets, reset_state=reset.reset_state)
        finally:
            self._session.close()
        return ResetReport(self.name, offsets, forgotten)

    @abstractmethod
    def _commit_reset(self, offsets: Sequence[PartitionOffset], *, reset_state: bool) -> int:
        """Commit the targets; returns how many keys of the state were forgotten."""

    def _poll(self, max_messages: int, timeout: float) -> list[Message]:
        messages = self._session.poll(max_messages, timeout)
        if (now := time.monotonic()) >= self._next_lag:
            self._next_lag = now + LAG_SECONDS
            for topic, behind in self._session.lag().items():
                CONSUMER_LAG.labels(self._group, topic).set(behind)
        return messages

    def _rewind(self) -> None:
        """Read again what was not committed, in a new session if this one cannot."""
        try:
            self._session.rewind()
        except UnavailableError:
            self.ready = False

    def _dead_letter(self, message: Message, error: Exception, tally: Tally) -> Record:
        where = f"{message.topic}[{message.partition}]@{message.offset}"
        # What is wrong with a message says its text; a bug is found by its traceback.
        traceback = None if isinstance(error, PoisonMessageError) else error
        log.error("dead letter: %s: %s", where, error, exc_info=traceback)
        tally.dead[type(error).__name__] += 1
        return dead_letter(f"{self._service}.dead", message, error, self._clock.now())


class GroupLoop(SessionLoop[GroupSession]):
    """Reads as a member of a consumer group; what it writes to knows what it has had."""

    def _commit_reset(self, offsets: Sequence[PartitionOffset], *, reset_state: bool) -> int:
        self._session.commit({(o.topic, o.partition): o.target for o in offsets})
        return 0
