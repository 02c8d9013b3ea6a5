"""Writes prediction records to the spool, and sends from there what Kafka has not got yet."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from predictor.adapters.journal.metrics import DROPPED, SPOOL_AGE, SPOOL_BYTES, SPOOL_LIMIT
from predictor.adapters.journal.spool.frames import Frame
from predictor.adapters.journal.spool.spool import NotSpooledError, Spool, SpoolPosition
from predictor.workers.shared_metrics import observe
from servicekit.bus import Batch, Headers, Sender
from servicekit.errors import ServicekitError, UnavailableError

log = logging.getLogger(__name__)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(
    tuple[str, Headers, list[tuple[bytes | None, bytes | None, Headers]]]
).decode


class SpoolJournal:
    """A batch is done when the spool has it; the journal sends it later, by itself.

    Batches are sent in their order, and a position in the spool counts as delivered when all before
    it is. When one fails, all from it on are sent again, for which the readers of events are made.

    Args:
        sender: a patient, polled one.
        refuse: whether a prediction that cannot be spooled is refused; otherwise it is given, and
            missing in the log.
        pump_seconds: between two looks for what can be sent and what was acknowledged.
        pump_bytes: how much is sent at one look: the event loop waits for as long.
        max_under_way: records that may wait for an acknowledgement, and as many that are remembered
            until they are sent; those beyond are read back from the spool.
        retry_seconds: wait after the spool took no more, or the brokers refused something.
        adopt_seconds: between two looks for spools of processes that ended.
    """

    def __init__(
        self,
        spool: Spool,
        sender: Sender,
        *,
        refuse: bool,
        pump_seconds: float = 0.005,
        pump_bytes: int = 128 * 1024,
        max_under_way: int = 5000,
        retry_seconds: float = 0.5,
        adopt_seconds: float = 60.0,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._refuse = refuse
        self._pump_seconds = pump_seconds
        self._pump_bytes = pump_bytes
        self._max_under_way = max_under_way
        self._retry_seconds = retry_seconds
        self._adopt_seconds = adopt_seconds
        self._wall = wall
        self._under_way: deque[_Sent] = deque()
        self._records_under_way = 0
        self._next: deque[_Spooled] = deque()
        """Batches that the reader of the spool comes to next, so that they need not be read."""
        self._records_next = 0
        self._not_before = 0.0
        """When the brokers are tried again after they refused something."""
        self._refuse_until = 0.0
        self._quiet_until = 0.0
        self._pumping: asyncio.TimerHandle | None = None
        self._adopting: asyncio.TimerHandle | None = None
        SPOOL_LIMIT.set(spool.max_bytes)
        observe(SPOOL_BYTES, lambda: self._spool.waiting_bytes)
        observe(SPOOL_AGE, self._age)

    @property
    def stalled(self) -> bool:
        """See `Journal.stalled`; only for moments, after which the spool is tried again."""
        return self._refuse and time.monotonic() < self._refuse_until

    def start(self) -> None:
        """Begin to send, first what an earlier process left; on the event loop."""
        self._pump()
        self._adopt()

    def write(self, batch: Batch, on_done: Callable[[int, ServicekitError | None], None]) -> int:
        """See `Journal.write`."""
        count = len(batch.records)
        payload = _encode((batch.topic, batch.headers, batch.records))
        written_ms = int(self._wall() * 1000)
        remembered_to = self._next[-1].position if self._next else self._spool.read_from
        follows = remembered_to == self._spool.end
        try:
            self._spool.append(payload, count, written_ms)
        except NotSpooledError as error:
            self._log_failure(error)
            if self._refuse:
                self._refuse_until = time.monotonic() + self._retry_seconds
                return 0
            DROPPED.labels(error.reason).inc(count)
        else:
            if follows and self._records_next < self._max_under_way:
                self._next.append(_Spooled(batch, self._spool.end, written_ms, len(payload)))
                self._records_next += count
            if self._pumping is None:
                self._later(self._pump_seconds)
        on_done(count, None)
        return count

    def _log_failure(self, error: NotSpooledError) -> None:
        """Log at most one failure in ten seconds."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + 10
            log.error("%s: %s", "refusing" if self._refuse else "not logging", error)

    def _later(self, seconds: float) -> None:
        self._pumping = asyncio.get_running_loop().call_later(seconds, self._pump)

    def _pump(self) -> None:
        self._pumping = None
        try:
            self._send_next()
        except OSError as error:
            log.error("reading the spool %s: %s", self._spool.folder, error)
            self._later(self._retry_seconds)
            return
        if self._spool.waiting_bytes:
            self._later(self._pump_seconds)

    def _send_next(self) -> None:
        """Take acknowledgements, then send what may be sent."""
        self._sender.poll()
        self._take_acknowledged()
        if any(sent.failed for sent in self._under_way):
            self._start_again()
            return
        if time.monotonic() < self._not_before:
            return
        if self._records_under_way < self._max_under_way:
            for each in self._ahead():
                if not self._send(each):
                    break
        if not self._under_way:
            # Damaged parts are passed over without being sent.
            self._spool.mark_delivered(self._spool.read_from)

    def _ahead(self) -> Iterator["_Spooled"]:
        """The next batches, about so many bytes as are sent at one look."""
        left = self._pump_bytes
        while self._next and left > 0:
            each = self._next.popleft()
            self._records_next -= len(each.batch.records)
            self._spool.read_from = each.position
            left -= each.size
            yield each
        if left > 0:
            for frame, position in self._spool.read(left):
                yield _Spooled(self._decoded(frame), position, frame.written_ms, len(frame.payload))

    def _decoded(self, frame: Frame) -> Batch:
        try:
            return Batch(*_decode(frame.payload))
        except msgspec.DecodeError as error:  # whole, but of another version of this program
            log.error("%s: %d predictions: %s", self._spool.folder, frame.records, error)
            DROPPED.labels("corrupt").inc(frame.records)
            return Batch("", (), ())

    def _send(self, spooled: "_Spooled") -> bool:
        """Whether the client took all of a batch."""
        batch = spooled.batch
        sent = _Sent(spooled.position, len(batch.records), len(batch.records), spooled.written_ms)
        self._under_way.append(sent)
        self._records_under_way += sent.records
        queued = self._sender.send_batch(batch, sent.on_done)
        if queued < sent.records:
            sent.left -= sent.records - queued
            sent.failed = True
        return not sent.failed

    def _take_acknowledged(self) -> None:
        position: SpoolPosition | None = None
        while self._under_way and not self._under_way[0].left and not self._under_way[0].failed:
            sent = self._under_way.popleft()
            self._records_under_way -= sent.records
            position = sent.position
        if position is not None:
            self._spool.mark_delivered(position)

    def _start_again(self) -> None:
        """Once nothing is under way any more, go back to the first batch that failed."""
        self._not_before = time.monotonic() + self._retry_seconds
        if any(sent.left for sent in self._under_way):
            return
        log.warning(
            "sending %d predictions again: the brokers did not take them all",
            self._records_under_way,
        )
        self._under_way.clear()
        self._records_under_way = 0
        self._next.clear()
        self._records_next = 0
        self._spool.rewind()

    def _adopt(self) -> None:
        if self._spool.adopt() and self._pumping is None:
            self._later(self._pump_seconds)
        loop = asyncio.get_running_loop()
        self._adopting = loop.call_later(self._adopt_seconds, self._adopt)

    def _age(self) -> float:
        if not self._under_way:
            return 0.0
        return max(0.0, self._wall() - self._under_way[0].written_ms / 1000)

    def stop(self) -> None:
        """Stop sending; on the event loop, before `close`."""
        for timer in (self._pumping, self._adopting):
            if timer is not None:
                timer.cancel()

    def close(self, timeout: float) -> int:
        """Send what can be sent within so many seconds; returns the bytes that stay on disk.

        It blocks, and nothing else may use the journal any more.
        """
        until = time.monotonic() + timeout
        while self._spool.waiting_bytes and time.monotonic() < until:
            self._send_next()
            time.sleep(self._pump_seconds)
        self._sender.close(0.1)
        self._take_acknowledged()
        left = self._spool.close()
        if left:
            log.warning(
                "%d bytes of predictions stay in %s: the next process sends them",
                left,
                self._spool.folder,
            )
        return left


class _Spooled(NamedTuple):
    """A batch that is in the spool."""

    batch: Batch
    position: SpoolPosition
    """Behind it."""
    written_ms: int
    size: int
    """Bytes of it there."""


@dataclass(slots=True, eq=False)
class _Sent:
    """A batch under way."""

    position: SpoolPosition
    records: int
    left: int
    written_ms: int
    failed: bool = False

    def on_done(self, error: ServicekitError | None) -> None:
        """Count a record that was acknowledged, or that failed."""
        self.left -= 1
        if error is None:
            return
        if isinstance(error, UnavailableError):
            self.failed = True
        else:
            # Too large for any topic: sending it again would stop all that follow.
            log.error("a prediction can never be logged: %s", error)
            DROPPED.labels("refused").inc()
