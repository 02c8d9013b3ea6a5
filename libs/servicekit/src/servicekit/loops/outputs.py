"""Turns what a handler yields into records."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from event_schemas import EventBody
from servicekit.bus import Record
from servicekit.clock import Clock
from servicekit.cloudevents import encode
from servicekit.event import Event, caused_by
from servicekit.telemetry import metrics
from servicekit.telemetry.committed import Callback
from servicekit.telemetry.tracing import decided, handling


def handle(
    event: Event[Any],
    handler: Callable[[Event[Any]], Iterable[EventBody]],
    *,
    service: str,
    clock: Clock,
) -> list[Record]:
    """Handle an event, in a span of its own; the outputs are its consequences.

    Raises:
        TooManyHopsError: events cause each other without end.
        TooLargeError: an output is larger than a topic takes.
    """
    source = f"/tailrace/{service}"
    counts: Counter[str] = Counter()
    records = []
    began = time.time_ns()
    with handling(event, service):
        events = list(handler(event))
        traceparent = decided(event, service, began) if events else None
        for body in events:
            output = caused_by(
                *(event, body),
                index=counts[body.type],
                source=source,
                time=clock.now(),
                traceparent=traceparent,
            )
            counts[body.type] += 1
            records.append(encode(output))
    return records


class Tally:
    """Counts what one batch did, for the metrics to be raised once, when it is committed.

    Made when the batch's messages are in hand: its time is measured from there.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.handled: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        self.on_commit: list[Callback] = []
        """What handlers want to be called when the batch is committed."""

    def report_dead(self, service: str) -> None:
        """Add what nobody could handle or send to the metrics."""
        for error, count in self.dead.items():
            metrics.DEAD_LETTERS.labels(service, error).inc(count)

    def report(self, service: str, records: Iterable[Record], *, group: str | None = None) -> None:
        """Add the batch, and the records that it published, to the metrics; `group` of its loop."""
        took = time.monotonic() - self._started
        for callback in self.on_commit:
            callback()
        metrics.BATCH_SECONDS.labels(group or service).observe(took)
        for event_type, count in self.handled.items():
            metrics.EVENTS_HANDLED.labels(service, event_type).inc(count)
        self.report_dead(service)
        own = (f"{service}.dead", f"{service}.state")
        published = Counter(record.topic for record in records)
        for topic, count in published.items():
            if topic not in own:
                metrics.EVENTS_PUBLISHED.labels(service, topic).inc(count)
