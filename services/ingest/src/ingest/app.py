"""Wires ingest."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import FastAPI

from ingest.adapters.contract_files import ContractFiles
from ingest.adapters.delta_lake import TOPIC, DeltaLake
from ingest.adapters.feast_online import FeastOnline
from ingest.api.routes import add_routes
from ingest.domain.contract import Contract
from ingest.handlers import RecordSink
from ingest.metrics import INVALID_CONTRACTS
from ingest.ports import Lake, OnlineStore
from ingest.settings import IngestSettings
from servicekit.bus import Bus
from servicekit.component import Component
from servicekit.loops.sink import SinkLoop
from servicekit.publisher import AsyncPublisher

log = logging.getLogger(__name__)


def build(
    settings: IngestSettings,
    bus: Bus,
    *,
    lake: Lake | None = None,
    online: OnlineStore | None = None,
) -> tuple[Sequence[Component], FastAPI]:
    """The sink loop over the lake, and the HTTP interface that feeds it.

    Unless others are given, the lake is Delta tables, and the online store is Feast if a dataset
    names a feature view.
    """
    contracts = ContractFiles(settings.models_dir, _report)
    lake = lake or DeltaLake(
        settings.lake_uri,
        compact_files=settings.compact_files,
        compact_bytes=settings.compact_bytes,
    )
    if online is None and any(contract.feature_view for contract in contracts.values()):
        online = FeastOnline(
            settings.feast_repo,
            settings.redis_url,
            sorted(settings.models_dir.glob("*/features.py")),
            contracts.values(),
        )
    sink = RecordSink(
        contracts,
        lake,
        online,
        recent_ids=settings.recent_ids,
        max_online_future=timedelta(seconds=settings.max_online_future_seconds),
        max_entries=settings.max_event_entries,
        max_future=timedelta(seconds=settings.max_future_seconds),
    )
    loop = SinkLoop(
        "ingest",
        sink,
        bus,
        topics=[TOPIC],
        member=str(settings.replica_slot),
        max_batch=settings.max_batch,
        linger_seconds=settings.linger_seconds,
    )
    return [loop], _api(settings, bus, contracts, lake)


def _report(problems: Sequence[str]) -> None:
    for problem in problems:
        log.error("a contract does not count as it is written: %s", problem)
    INVALID_CONTRACTS.set(len(problems))


def _api(
    settings: IngestSettings, bus: Bus, contracts: Mapping[str, Contract], lake: Lake
) -> FastAPI:
    sender = bus.sender()

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(sender.close, 5.0)

    api = FastAPI(
        title="Tailrace ingest",
        description="Takes records and labels in. An accepted request is on the bus, and safe.",
        version="1",
        lifespan=lifespan,
    )
    add_routes(api, contracts, lake, AsyncPublisher(sender, "ingest"), settings)
    return api
