"""The page of an API: all of it, nothing from elsewhere, and nothing that runs."""

import asyncio
import re
import threading

import httpx
from fastapi import FastAPI

from servicekit.api_page import page
from servicekit.http import add_ops_routes


def api() -> FastAPI:
    found = FastAPI(title="A <service>", description="<script>alert(1)</script>")

    @found.get("/v1/things/{thing}", summary="One thing")
    async def thing(thing: str) -> dict[str, int]:
        """It is <b>that</b>."""
        return {thing: 1}

    add_ops_routes(found, [], threading.Event())
    return found


def get(api: FastAPI, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_fault_1_10_the_page_of_an_api_loads_nothing_from_elsewhere() -> None:
    found = get(api(), "/docs")
    assert found.status_code == 200
    assert found.headers["content-security-policy"].startswith("default-src 'none'")
    assert re.findall(r"https?://|<script|src=", found.text) == []
    assert get(api(), "/redoc").status_code == 404, "which would load its own"


def test_every_operation_is_on_it_and_what_it_says_is_text() -> None:
    text = page(api().openapi())
    assert "<code>/v1/things/{thing}</code> One thing" in text
    assert "It is &lt;b&gt;that" in text
    assert "<title>A &lt;service&gt;</title>" in text


def test_a_service_without_a_document_has_no_page() -> None:
    silent = FastAPI(openapi_url=None)
    add_ops_routes(silent, [], threading.Event())
    assert get(silent, "/docs").status_code == 404
