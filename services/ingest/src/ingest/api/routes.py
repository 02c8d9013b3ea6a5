"""The routes of ingest."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from ingest.adapters.model_tasks import ModelTasks
from ingest.api.body import RefusedError, read_body, read_items
from ingest.api.items import LabelRules, label_events, record_events
from ingest.api.openapi import LABELS, RECORDS, RESPONSES
from ingest.domain.contract import Contract
from ingest.metrics import ACCEPTED, REFUSED
from ingest.ports import Lake, Publisher
from ingest.settings import IngestSettings
from servicekit.errors import OverloadedError, UnavailableError
from servicekit.event import Event

Events = Callable[[list[Any]], list[Event]]


def add_routes(
    api: FastAPI,
    contracts: Mapping[str, Contract],
    lake: Lake,
    publisher: Publisher,
    settings: IngestSettings,
) -> None:
    """Give `api` what senders of records and labels need."""
    _add_senders(api, contracts, publisher, settings)

    @api.get("/v1/datasets", summary="List datasets with their contracts and tables")
    async def list_datasets() -> dict[str, Any]:
        """Each dataset with its columns, and its table's version and rows (null: no row yet)."""
        return {"datasets": await asyncio.to_thread(_datasets, list(contracts.values()), lake)}

    @api.get("/health", summary="Does the process answer")
    async def health() -> dict[str, str]:
        """/readyz says whether the lake and the bus answer as well."""
        return {"status": "ok"}

    async def unavailable(request: Request, error: Exception) -> JSONResponse:
        _count(request, 503)
        return JSONResponse(
            {"detail": f"{error}: send the same request again, it will not be taken twice"},
            status_code=503,
            headers={"retry-after": str(settings.retry_after_seconds)},
        )

    api.add_exception_handler(RefusedError, _refused)
    api.add_exception_handler(UnavailableError, unavailable)
    api.add_exception_handler(OverloadedError, unavailable)


def _add_senders(
    api: FastAPI, contracts: Mapping[str, Contract], publisher: Publisher, settings: IngestSettings
) -> None:
    models = ModelTasks(settings.models_dir)

    async def publish(request: Request, kind: str, events_of: Events) -> JSONResponse:
        body = await read_body(request, settings.max_body_bytes, settings.max_drained_bytes)
        # In a thread, so that a large request does not hold up the small ones.
        events = await asyncio.to_thread(
            lambda: events_of(read_items(body, kind, settings.max_records_per_request))
        )
        await publisher.publish_many(events)
        ACCEPTED.labels(kind).inc(len(events))
        return JSONResponse({"accepted": len(events)}, status_code=202)

    @api.post(
        "/v1/datasets/{dataset}/records",
        status_code=202,
        responses=RESPONSES,
        openapi_extra={"requestBody": RECORDS},
        summary="Send records of a dataset",
    )
    async def send_records(dataset: str, request: Request) -> JSONResponse:
        """All records are on the bus when the answer is 202, and none when it is 4xx.

        After 503 or a lost connection, send the same request again: a record is stored once.
        """
        if dataset not in contracts:
            known = ", ".join(sorted(contracts)) or "none"
            raise RefusedError(
                404,
                f"dataset {dataset[:80]!r} has no contract; known are: {known}. Add"
                f" models/<model>/datasets/<dataset>.yaml",
            )
        now, limit = datetime.now(UTC), settings.max_record_bytes
        return await publish(
            request, "records", lambda items: record_events(dataset, items, now, limit)
        )

    @api.post(
        "/v1/labels",
        status_code=202,
        responses={code: answer for code, answer in RESPONSES.items() if code != 404},
        openapi_extra={"requestBody": LABELS},
        summary="Send the truth about predictions",
    )
    async def send_labels(request: Request) -> JSONResponse:
        """A later label of a prediction corrects an earlier one; see records for the answers."""
        now = datetime.now(UTC)
        latest = now + timedelta(seconds=settings.max_label_future_seconds)
        rules = LabelRules(models, latest, settings.labels_of_any_model)
        return await publish(request, "labels", lambda items: label_events(items, now, rules))


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)  # noqa: S101 - it is registered for no other
    _count(request, error.status)
    content: dict[str, Any] = {"detail": error.detail}
    if error.faults is not None:
        content["faults"] = error.faults
    # A body that was not read to its end would be taken for the next request.
    headers = {"connection": "close"} if error.status == 413 else None
    return JSONResponse(content, status_code=error.status, headers=headers)


def _count(request: Request, status: int) -> None:
    kind = "records" if request.url.path.endswith("/records") else "labels"
    REFUSED.labels(kind, str(status)).inc()


def _datasets(contracts: Sequence[Contract], lake: Lake) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    for contract in sorted(contracts, key=lambda contract: contract.dataset):
        state = lake.state(contract.dataset)
        listed.append(
            {
                "dataset": contract.dataset,
                "description": contract.description,
                "contract_version": contract.version,
                "unknown_columns": contract.unknown_columns,
                "feature_view": contract.feature_view,
                "columns": [
                    {
                        "name": column.name,
                        "type": column.kind,
                        "required": column.required,
                        "minimum": column.minimum,
                        "maximum": column.maximum,
                        "allowed": None if column.allowed is None else sorted(column.allowed),
                    }
                    for column in contract.columns
                ],
                "table_version": None if state is None else state.version,
                "rows": None if state is None else state.rows,
            }
        )
    return listed
