"""Requests are sampled, decisions are not."""

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from servicekit.telemetry.sampling import RequestSampler


def sampled(ratio: float, kind: SpanKind, trace_id: int, parent: bool | None = None) -> bool:
    context = None
    if parent is not None:
        flags = TraceFlags(TraceFlags.SAMPLED if parent else TraceFlags.DEFAULT)
        span = NonRecordingSpan(SpanContext(trace_id, 1, is_remote=True, trace_flags=flags))
        context = trace.set_span_in_context(span)
    result = RequestSampler(ratio).should_sample(context, trace_id, "x", kind)
    return result.decision is Decision.RECORD_AND_SAMPLE


def test_a_share_of_the_requests_is_kept() -> None:
    # The ratio is compared with the lower half of the trace id, which is random.
    kept = [sampled(0.25, SpanKind.SERVER, each) for each in (1, 2**62 - 1, 2**62 + 1, 2**64 - 1)]
    assert kept == [True, True, False, False]


def test_what_begins_with_an_event_is_kept_whatever_the_ratio() -> None:
    assert sampled(0.0, SpanKind.CONSUMER, 1)
    assert not sampled(0.0, SpanKind.SERVER, 1)


@pytest.mark.parametrize("kind", [SpanKind.SERVER, SpanKind.CONSUMER])
@pytest.mark.parametrize("parent", [True, False])
def test_the_caller_decides_where_there_is_one(kind: SpanKind, parent: bool) -> None:
    assert sampled(0.5, kind, 2**64 - 1, parent) is parent
    assert sampled(0.5, kind, 1, parent) is parent
