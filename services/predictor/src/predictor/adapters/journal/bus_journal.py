"""Writes prediction records to the bus, a batch at a time, and waits for no longer than it may."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from servicekit.bus import Batch, Record, Sender
from servicekit.errors import OverloadedError, ServicekitError, UnavailableError

log = logging.getLogger(__name__)

OnDone = Callable[[int, ServicekitError | None], None]

POLL_SECONDS = 0.001
"""uvloop's timers are no finer."""


class BusJournal:
    """Sends through a `Sender`; one wake-up of the event loop a batch.

    A record that the brokers do not take within the sender's time is sent again, so that no number
    of the sequence is missing unless the process ends first. While a batch waits for longer than
    the deadline, the journal is `stalled`.

    Args:
        deadline: seconds after which a batch counts as not acknowledged.
        early: whether a batch counts as done once it is queued.
    """

    def __init__(
        self,
        sender: Sender,
        deadline: float,
        *,
        early: bool = False,
        retry_seconds: float = 0.5,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._sender = sender
        self._early = early
        self._deadline = deadline
        self._retry_seconds = retry_seconds
        self._overdue = 0
        self._failed: deque[Record] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._poll_seconds = poll_seconds
        self._polling = False
        self._under_way = 0
        """Batches that are not acknowledged yet."""

    @property
    def stalled(self) -> bool:
        """See `Journal.stalled`."""
        return self._overdue > 0 or bool(self._failed)

    @property
    def unwritten(self) -> int:
        """Records that failed and wait to be sent again."""
        return len(self._failed)

    def write(self, batch: Batch, on_done: OnDone) -> int:
        """See `Journal.write`."""
        return self._send(tuple(batch.split()), on_done, self._deadline)

    def _send(self, records: Sequence[Record], on_done: OnDone, deadline: float) -> int:
        futures: list[Future[None]] = []
        try:
            for record in records:
                futures.append(self._sender.send(record))  # noqa: PERF401 - keeps what was sent
        except OverloadedError as error:
            log.warning("the log of predictions takes no more: %s", error)
        if futures:
            if self._early:
                on_done(len(futures), None)
                on_done = _ignore
            _Batch(self, records, futures, on_done, deadline)
            self._under_way += 1
            if not self._polling:
                self._polling = True
                asyncio.get_running_loop().call_later(self._poll_seconds, self._poll)
        return len(futures)

    def start(self) -> None:
        """See `SpoolJournal.start`; here no record waits from before."""

    def stop(self) -> None:
        """Stop sending again; on the event loop, before `close`."""
        if self._timer is not None:
            self._timer.cancel()

    def close(self, timeout: float) -> int:
        """Flush for at most so many seconds; returns how many records the brokers did not get."""
        return self._sender.close(timeout)

    def _poll(self) -> None:
        self._sender.poll()
        self._polling = self._under_way > 0
        if self._polling:
            asyncio.get_running_loop().call_later(self._poll_seconds, self._poll)

    def arrived(self) -> None:
        """Count a batch that has all its acknowledgements or failures."""
        self._under_way -= 1

    def overdue(self, change: int) -> None:
        """Count a batch that passed its deadline (+1), or that such a batch arrived (-1)."""
        self._overdue += change

    def again(self, record: Record) -> None:
        """Send a record again that the brokers did not take."""
        self._failed.append(record)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._retry_seconds, self._resend)

    def _resend(self) -> None:
        self._timer = None
        records, self._failed = list(self._failed), deque()
        log.warning("sending %d predictions again that the brokers did not take", len(records))
        # Late from the start: new predictions wait until the old ones are written.
        sent = self._send(records, _ignore, deadline=0)
        for record in records[sent:]:
            self.again(record)


def _ignore(sent: int, error: ServicekitError | None) -> None:
    """For a batch that counts as done already."""


class _Batch:
    """Records under way."""

    def __init__(
        self,
        journal: BusJournal,
        records: Sequence[Record],
        futures: Sequence["Future[None]"],
        on_done: OnDone,
        deadline: float,
    ) -> None:
        self._journal = journal
        self._records = records
        self._on_done: OnDone | None = on_done
        self._left = self._sent = len(futures)
        self._errors: dict[int, BaseException] = {}
        self._lock = threading.Lock()
        self._late = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        if deadline > 0:
            self._timer = self._loop.call_later(deadline, self._expire)
        else:
            self._expire()
        for i, future in enumerate(futures):
            future.add_done_callback(partial(self._delivered, i))

    def _delivered(self, i: int, future: "Future[None]") -> None:
        """Runs on the thread of the loop or on one that flushes; the last wakes the loop."""
        error = future.exception()
        with self._lock:
            if error is not None:
                self._errors[i] = error
            self._left -= 1
            last = self._left == 0
        if last and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        self._journal.arrived()
        if self._timer is not None:
            self._timer.cancel()
        if self._late:
            self._journal.overdue(-1)
        error: ServicekitError | None = None
        for i, cause in self._errors.items():
            error = UnavailableError(f"the prediction could not be logged: {cause}")
            if isinstance(cause, UnavailableError):
                self._journal.again(self._records[i])
            else:
                log.error("a prediction can never be logged: %s", cause)
        self._end(error)

    def _expire(self) -> None:
        self._late = True
        self._journal.overdue(+1)
        self._end(UnavailableError("the brokers did not acknowledge the prediction in time"))

    def _end(self, error: ServicekitError | None) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done is not None:
            on_done(self._sent, error)
