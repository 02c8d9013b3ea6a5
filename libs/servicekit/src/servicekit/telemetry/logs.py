"""Logs as one JSON object a line, each with the trace that it belongs to."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace
from opentelemetry.trace import format_span_id, format_trace_id

from servicekit.redaction import redacted

_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_NOT_WORTH_A_FIELD = {"color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message, service, trace, exception, and whatever `extra` held.

    Nowhere in it does an address hold its password; see `servicekit.redaction`.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON; a value that JSON does not know is written as text."""
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
            "service": self._service,
        }
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            fields["trace_id"] = format_trace_id(span.trace_id)
            fields["span_id"] = format_span_id(span.span_id)
        for name, value in vars(record).items():
            if name not in _OF_EVERY_RECORD and name not in _NOT_WORTH_A_FIELD:
                fields.setdefault(name, _safe(value))
        if record.exc_info:
            fields["exception"] = redacted(self.formatException(record.exc_info))
        if record.stack_info:
            fields["stack"] = redacted(self.formatStack(record.stack_info))
        return json.dumps(fields, default=redacted, ensure_ascii=False)


def _safe(value: object) -> object:
    """A value of `extra` without a secret, however deep it lies."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: _safe(each) for key, each in value.items()}
    return [_safe(each) for each in value] if isinstance(value, (list, tuple)) else value


def configure_logging(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log of the process to one stream (default: standard output) as JSON."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
