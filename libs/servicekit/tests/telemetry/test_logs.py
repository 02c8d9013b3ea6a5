"""A log line is one JSON object."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from opentelemetry import context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from servicekit.telemetry.logs import configure_logging

TRACE, SPAN = "a" * 32, "b" * 16


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    stream = io.StringIO()
    # Force is part of what configure_logging does, and would close the handlers of pytest.
    root.handlers.clear()
    configure_logging("ingest", "INFO", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_a_line_says_when_how_bad_who_and_what(stream: io.StringIO) -> None:
    logging.getLogger("a.b").warning("%d rows\nof “café”", 3, extra={"table": "flights"})
    logging.getLogger("a.b").debug("not this")
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert fields.pop("time").endswith("+00:00")
    assert fields == {
        "level": "WARNING",
        "logger": "a.b",
        "message": "3 rows\nof “café”",
        "service": "ingest",
        "table": "flights",
    }


def test_an_exception_is_in_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger().exception("it failed")
    fields = json.loads(stream.getvalue())
    assert fields["exception"].endswith("ValueError: why")


def test_a_line_within_a_trace_names_it(stream: io.StringIO) -> None:
    parent = TraceContextTextMapPropagator().extract({"traceparent": f"00-{TRACE}-{SPAN}-01"})
    token = context.attach(parent)
    logging.getLogger().info("inside")
    context.detach(token)
    fields = json.loads(stream.getvalue())
    assert (fields["trace_id"], fields["span_id"]) == (TRACE, SPAN)


def test_a_value_that_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    logging.getLogger().info("x", extra={"kind": int})
    assert json.loads(stream.getvalue())["kind"] == "<class 'int'>"


def test_fault_1_9_a_line_holds_no_password_of_an_address(stream: io.StringIO) -> None:
    url = "redis://me:secret@redis.example:6379/0"
    try:
        raise ValueError(f"{url} is away")
    except ValueError:
        extra = {"url": url, "tried": [url, {"then": (url,)}]}
        logging.getLogger().exception("cannot reach %s", url, extra=extra, stack_info=True)
    assert "secret" not in stream.getvalue()
    fields = json.loads(stream.getvalue())
    assert fields["message"] == "cannot reach redis://***@redis.example:6379/0"
    assert fields["exception"].endswith("ValueError: redis://***@redis.example:6379/0 is away")
    assert fields["tried"][1]["then"] == ["redis://***@redis.example:6379/0"]
