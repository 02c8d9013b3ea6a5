"""The body of a request as JSON, with a limit that holds while it streams in."""

import json
from typing import Any, NoReturn

from starlette.requests import Request


class RefusedError(Exception):
    """The request is not taken; nothing of it has been."""

    def __init__(
        self, status: int, detail: str, faults: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults = faults


async def read_body(request: Request, limit: int, drained: int) -> bytes:
    """The body.

    Args:
        request: whose body it is.
        limit: bytes that it may have; a longer one is never held.
        drained: bytes of a longer one that are read and thrown away, so that its sender comes to
            read the answer and finds no broken connection.

    Raises:
        RefusedError: 413 when it is longer than `limit`, 415 when it is compressed.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise RefusedError(
            415, f"content-encoding: {encoding[:40]!r}: compressed bodies are not read: send JSON"
        )
    too_large = RefusedError(
        413, f"the body is larger than {limit} bytes (MAX_BODY_BYTES): send it in several requests"
    )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit + drained:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit + drained:
            break
        if size > limit:
            parts.clear()
        else:
            parts.append(part)
    if size > limit:
        raise too_large
    return b"".join(parts)


def read_items(body: bytes, name: str, limit: int) -> list[Any]:
    """The list under `name` of a JSON object.

    Raises:
        RefusedError: 400 when it is no JSON, 422 when there is no such list, or a longer one.
    """
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise RefusedError(400, "the body is nested too deeply: send flat records") from None
    except ValueError as error:
        raise RefusedError(
            400, f'the body is no JSON ({error}): send {{"{name}": […]}} in UTF-8'
        ) from None
    items = document.get(name) if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise RefusedError(422, f'{name}: send an object {{"{name}": […]}} with at least one')
    if len(items) > limit:
        raise RefusedError(
            422,
            f"{name}: {len(items)} are more than {limit} (MAX_RECORDS_PER_REQUEST): send them in"
            " several requests",
        )
    return items


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON; send null for a missing value")
