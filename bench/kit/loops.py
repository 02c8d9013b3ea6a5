"""The loops that are compared; each does the same with the same events, and says what it took.

An event is 500 bytes of JSON in a CloudEvents envelope. Each loop reads it, parses it, makes a body
of the same size from it, publishes that with the headers of an event that it caused, and commits.

Run by __main__.py: python bench/kit/loops.py LOOP BOOTSTRAP ASKED ANSWERED EVENTS BATCH
"""

import asyncio
import gc
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

from confluent_kafka import Consumer, Producer, TopicPartition

from event_schemas import BY_TYPE, EventBody
from servicekit.event import Event, caused_by
from servicekit.kafka import KafkaBus
from servicekit.loops.sink import Received, SinkLoop
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.run import COLLECT_AFTER

FEATURES = 20
CLIENT = {"acks": "all", "enable.idempotence": True, "compression.type": "lz4", "linger.ms": 5}
"""Of the bare producers: the kit's."""


def contract(name: str) -> Any:
    """An event of its own type; its JSON takes 500 bytes."""

    class Measured(EventBody):
        type: ClassVar[str] = name
        key_field: ClassVar[str] = "entity"

        entity: str
        n: int
        sent: float
        features: dict[str, float]
        note: str

    BY_TYPE[name] = Measured
    return Measured


def features(n: int) -> dict[str, float]:
    """Numbers that differ from event to event."""
    return {f"feature_{i:02}": ((n * 31 + i * 17) % 997) / 64 for i in range(FEATURES)}


class Watch:
    """Begins with the first event, so that joining a group and connecting are not measured."""

    def __init__(self) -> None:
        self._began = self._cpu = 0.0
        self.took: list[float] = []
        """Seconds of each batch, from its first event to the end of its commit."""

    def begin(self) -> None:
        if not self._began:
            self._began, self._cpu = time.monotonic(), _cpu()

    def report(self, events: int) -> None:
        seconds, cpu = time.monotonic() - self._began, _cpu() - self._cpu
        print(json.dumps({"events": events, "seconds": seconds, "cpu": cpu, "took": self.took}))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """What the handlers of all loops do."""
    return {**body, "n": body["n"] + 1}


def headers(headers: Sequence[tuple[str, bytes]], kind: str) -> list[tuple[str, bytes]]:
    """The envelope of an answer, as one writes it by hand."""
    cause = dict(headers)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", kind.encode()),
        ("ce_id", str(uuid4()).encode()),
        ("ce_source", b"/bench"),
        ("ce_time", datetime.now(UTC).isoformat().encode()),
        ("content-type", b"application/json"),
        ("ce_causationid", cause["ce_id"]),
        ("ce_correlationid", cause["ce_correlationid"]),
    ]


def bare(
    bootstrap: str, asked: str, answered: str, events: int, batch: int, *, transactions: bool
) -> Watch:
    """What one writes by hand with confluent-kafka."""
    watch, group = Watch(), f"bare-{uuid4().hex[:8]}"
    options = {"transactional.id": group} if transactions else {}
    producer = Producer({"bootstrap.servers": bootstrap, **CLIENT, **options})
    if transactions:
        producer.init_transactions()
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([asked])
    done = 0
    while done < events:
        first = consumer.poll(1.0)
        if first is None:
            continue
        watch.begin()
        began = time.monotonic()
        messages: list[Any] = [first]
        if batch > 1:
            messages += consumer.consume(batch - 1, 0)
        if transactions:
            producer.begin_transaction()
        for message in messages:
            value = json.dumps(answer(json.loads(message.value()))).encode()
            produce = partial(
                producer.produce,
                answered,
                value,
                message.key(),
                headers=headers(message.headers(), answered),
            )
            try:
                produce()
            except BufferError:
                producer.poll(0.1)
                produce()
        last = messages[-1]
        offsets = [TopicPartition(last.topic(), last.partition(), last.offset() + 1)]
        if transactions:
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
        else:
            producer.flush()
            consumer.commit(offsets=offsets, asynchronous=False)
        watch.took.append(time.monotonic() - began)
        done += len(messages)
    consumer.close()
    return watch


def kit(bootstrap: str, asked: str, answered: str, events: int, batch: int) -> Watch:
    """The kit's loop for effects outside Kafka; the sink has none."""
    watch, out = Watch(), contract(answered)
    contract(asked)

    class Sink:
        def recover(self) -> Sequence[Event]:
            return ()

        def taken_over(self, partitions: Collection[tuple[str, int]]) -> None:
            """Nothing is remembered."""

        def write(self, batch: Sequence[Received]) -> Sequence[Event]:
            watch.begin()
            now = datetime.now(UTC)
            return [
                caused_by(
                    item.event,
                    answered_by(out, item.event.body),
                    index=0,
                    source="/bench",
                    time=now,
                )
                for item in batch
            ]

    service = f"kit-{uuid4().hex[:8]}"
    loop = SinkLoop(service, Sink(), KafkaBus(bootstrap), topics=[asked], max_batch=batch)
    return _turn(loop, watch, events)


def kit_transactions(bootstrap: str, asked: str, answered: str, events: int, batch: int) -> Watch:
    """The kit's loop from Kafka to Kafka."""
    watch, question, out = Watch(), contract(asked), contract(answered)

    def handle(event: Event[Any]) -> Iterable[EventBody]:
        watch.begin()
        yield answered_by(out, event.body)

    processor = Processor(f"kit-{uuid4().hex[:8]}", {question: handle})
    return _turn(TransactionalLoop(processor, KafkaBus(bootstrap), max_batch=batch), watch, events)


def answered_by(out: Any, body: Any) -> Any:
    """As `answer`, on bodies that a contract has checked."""
    return out(
        entity=body.entity, n=body.n + 1, sent=body.sent, features=body.features, note=body.note
    )


def _turn(loop: Any, watch: Watch, events: int) -> Watch:
    # As run() of the kit, in which services run their loops.
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    loop.open()
    done = 0
    while done < events:
        began = time.monotonic()
        handled = loop.step()
        if handled:
            watch.took.append(time.monotonic() - began)
        done += handled
    loop.close()
    return watch


def faust_agent(bootstrap: str, asked: str, answered: str, events: int, batch: int) -> Watch:
    """An agent of faust-streaming, with the options that made it fastest."""
    watch = Watch()
    warnings.simplefilter("ignore")
    import cramjam  # noqa: F401
    import faust

    app = faust.App(
        f"faust-{uuid4().hex[:8]}",
        broker=f"kafka://{bootstrap}",
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        broker_max_poll_records=500,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_compression_type="lz4",
    )
    out = app.topic(answered, key_serializer="raw", value_serializer="raw")
    done = asyncio.Event()

    async def agent(stream: Any) -> None:
        seen = 0
        async for event in stream.events():
            watch.begin()
            raw = event.message
            await out.send(
                key=raw.key,
                value=json.dumps(answer(json.loads(raw.value))).encode(),
                headers=headers(raw.headers, answered),
            )
            seen += 1
            if seen == events:
                await app.producer.flush()
                done.set()

    app.agent(app.topic(asked, key_serializer="raw", value_serializer="raw"))(agent)

    async def run() -> None:
        await app.start()
        await done.wait()

    asyncio.run(run())
    return watch


LOOPS: dict[str, Callable[[str, str, str, int, int], Watch]] = {
    "bare": partial(bare, transactions=False),
    "bare, transactions": partial(bare, transactions=True),
    "kit": kit,
    "kit, transactions": kit_transactions,
    "faust": faust_agent,
}

if __name__ == "__main__":
    import os

    name, bootstrap, asked, answered, events, batch = sys.argv[1:]
    watch = LOOPS[name](bootstrap, asked, answered, int(events), int(batch))
    watch.report(int(events))
    sys.stdout.flush()
    # Faust's threads would wait for a group that nobody needs any more.
    os._exit(0)
