"""A bus whose calls fail when a test says so; around the one in memory or around Kafka's."""

from collections.abc import Sequence
from typing import Any

from servicekit.bus import Bus, GroupSession, Sender, TopicView, TransactionalSession
from servicekit.errors import UnavailableError


class FaultyBus:
    """Passes everything on, but fails the calls that were announced with `fail`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._faults: list[tuple[str, BaseException, bool]] = []
        self.calls: list[str] = []
        """Names of all calls to sessions, senders and views, in order."""

    def fail(
        self,
        operation: str,
        error: BaseException | None = None,
        *,
        times: int = 1,
        done: bool = False,
    ) -> None:
        """Let the next calls of an operation fail.

        Args:
            operation: name of a method, e.g. `commit`.
            error: what it raises; default: an UnavailableError.
            times: how many calls fail.
            done: whether the call has its effect before it fails.
        """
        error = error or UnavailableError(f"the test lets {operation} fail")
        self._faults.extend([(operation, error, done)] * times)

    def transactional(
        self, *, service: str, topics: Sequence[str], slot: int = 0, slots: int = 1
    ) -> TransactionalSession:
        """See `Bus.transactional`."""
        inner = self._bus.transactional(service=service, topics=topics, slot=slot, slots=slots)
        return self._around(inner)

    def group(self, *, group: str, topics: Sequence[str], member: str | None) -> GroupSession:
        """See `Bus.group`."""
        return self._around(self._bus.group(group=group, topics=topics, member=member))

    def sender(self, *, polled: bool = False, patient: bool = False) -> Sender:
        """See `Bus.sender`."""
        return self._around(self._bus.sender(polled=polled, patient=patient))

    def view(self, *topics: str) -> TopicView:
        """See `Bus.view`."""
        return self._around(self._bus.view(*topics))

    def _around(self, inner: object) -> Any:
        return _Faulty(self, inner)

    def take(self, operation: str) -> tuple[BaseException, bool] | None:
        """The fault that the call is to have, if any."""
        self.calls.append(operation)
        for index, (name, error, done) in enumerate(self._faults):
            if name == operation:
                del self._faults[index]
                return error, done
        return None


class _Faulty:
    def __init__(self, bus: FaultyBus, inner: object) -> None:
        self._bus = bus
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            fault = self._bus.take(name)
            if fault is None:
                return value(*args, **kwargs)
            error, done = fault
            if done:
                value(*args, **kwargs)
            raise error

        return call
