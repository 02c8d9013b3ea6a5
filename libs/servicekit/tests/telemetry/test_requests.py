"""What a service says of its HTTP requests: by the template of the route, never by the path."""

import asyncio
import threading
from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY, Metric

from servicekit.http import add_ops_routes
from servicekit.testing.metrics import metric_value


class Client:
    """Asks an application, without a server."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)

    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._api, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def client() -> Client:
    api = FastAPI()

    @api.get("/things/{name}")
    def thing(name: str) -> str:
        if name == "none":
            raise HTTPException(404)
        if name == "broken":
            raise RuntimeError("broken")
        return name

    add_ops_routes(api, (), threading.Event())
    return Client(api)


def asked(route: str, method: str, status: int) -> float:
    return metric_value("http_requests_total", route=route, method=method, status=str(status))


def routes() -> set[str]:
    (requests,) = (m for m in REGISTRY.collect() if m.name == "http_requests")
    assert isinstance(requests, Metric)
    return {sample.labels["route"] for sample in requests.samples}


@pytest.mark.parametrize(("name", "status"), [("a", 200), ("none", 404), ("broken", 500)])
def test_a_request_counts_under_its_template_and_status(
    client: Client, name: str, status: int
) -> None:
    before = asked("/things/{name}", "GET", status)
    assert client.get(f"/things/{name}").status_code == status
    assert asked("/things/{name}", "GET", status) == before + 1


def test_what_callers_make_up_becomes_no_label(client: Client) -> None:
    client.get("/things/x")
    known = routes()
    for path in ("/nothing", "/etc/passwd", "/things"):
        client.get(path)
    client.request("BREW", "/things/x")
    assert routes() - known <= {""}
    assert asked("", "GET", 404) >= 3
    (requests,) = (m for m in REGISTRY.collect() if m.name == "http_requests")
    assert "BREW" not in {sample.labels["method"] for sample in requests.samples}


def test_probes_and_scrapes_do_not_count(client: Client) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        client.get(path)
    assert not {"/livez", "/readyz", "/metrics"} & routes()


def test_an_exported_trace_is_the_exemplar_of_its_time(client: Client) -> None:
    tracer = TracerProvider().get_tracer("test")
    api_span = tracer.start_span("request")
    with trace.use_span(api_span, end_on_exit=True):
        client.get("/things/traced")
    openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
    text = client.get("/metrics", headers=openmetrics).text
    trace_id = f"{api_span.get_span_context().trace_id:032x}"
    lines = [line for line in text.splitlines() if trace_id in line]
    assert lines
    assert all(line.startswith("http_request_seconds_bucket") for line in lines)


def test_without_an_exporter_there_are_no_exemplars(client: Client) -> None:
    client.get("/things/plain", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    openmetrics = {"accept": "application/openmetrics-text; version=1.0.0"}
    assert "a" * 32 not in client.get("/metrics", headers=openmetrics).text
