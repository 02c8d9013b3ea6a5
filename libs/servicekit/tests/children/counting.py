"""Counts numbers per key in transactions, until it is killed."""

import sys
import threading
from collections.abc import Iterable
from typing import Any, ClassVar

from event_schemas import BY_TYPE, EventBody
from local.broker import bus
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.table import Table


def contract(event_type: str) -> Any:
    class Counted(EventBody):
        type: ClassVar[str] = event_type
        key_field: ClassVar[str] = "name"

        name: str
        n: int = 0

    BY_TYPE[event_type] = Counted
    return Counted


def main(bootstrap: str, service: str, asked_type: str, counted_type: str) -> None:
    asked, counted = contract(asked_type), contract(counted_type)
    totals = Table.of("totals", int)

    def count(event: Event[Any]) -> Iterable[EventBody]:
        name = event.body.name
        totals.put(name, (totals.get(name) or 0) + event.body.n)
        yield counted(name=name, n=event.body.n)

    loop = TransactionalLoop(
        Processor(service, {asked: count}, [totals]),
        bus(bootstrap),
        max_batch=20,
        backoff=Backoff(base=0.05, cap=0.2),
    )
    loop.run(threading.Event())


if __name__ == "__main__":
    main(*sys.argv[1:])
