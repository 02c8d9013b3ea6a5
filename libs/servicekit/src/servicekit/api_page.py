"""A page of an OpenAPI document for people: plain HTML without a script, so it works offline."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

CONTENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none';"
    " form-action 'none'"
)
"""No script, and nothing from elsewhere."""
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
details { border: 1px solid #8888; border-radius: .4rem; margin: .5rem 0; padding: .5rem 1rem }
summary { cursor: pointer } code, pre { font: .85rem/1.4 ui-monospace, monospace }
pre { overflow-x: auto } b { display: inline-block; min-width: 4rem }
"""


def page(document: Mapping[str, Any]) -> str:
    """The page.

    Args:
        document: OpenAPI 3, as the service answers it at /openapi.json.
    """
    info = document["info"]
    return "".join(
        (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}',
            '</title><meta name="viewport" content="width=device-width">',
            f"<style>{_STYLE}</style><h1>{escape(info['title'])}</h1>",
            f"<p>{escape(info.get('description', ''))}</p>",
            '<p>As a document for programs: <a href="openapi.json">openapi.json</a></p>',
            *_operations(document),
            *_schemas(document),
        )
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield (
                f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code>"
                f" {escape(operation.get('summary', ''))}</summary>"
                f"<p>{escape(operation.get('description', ''))}</p>"
            )
            for part in ("parameters", "requestBody", "responses"):
                if part in operation:
                    yield f"<h4>{part}</h4><pre>{_json(operation[part])}</pre>"
            yield "</details>"


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    schemas = document.get("components", {}).get("schemas", {})
    if schemas:
        yield "<h2>Schemas</h2>"
    for name, schema in schemas.items():
        yield (
            f"<details><summary><code>{escape(name)}</code></summary>"
            f"<pre>{_json(schema)}</pre></details>"
        )


def _json(value: object) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))
