"""Which spans are kept: a share of the requests, and all that does not begin with one."""

from collections.abc import Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class RequestSampler(Sampler):
    """Follows the parent where there is one; else by kind: a server's spans by ratio, others all.

    Predictions come by the thousand, and one is like the other. A retraining is not.
    """

    def __init__(self, ratio: float) -> None:
        self._requests = TraceIdRatioBased(ratio)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See `Sampler.should_sample`."""
        parent = trace.get_current_span(parent_context).get_span_context()
        if parent.is_valid:
            sampler = ALWAYS_ON if parent.trace_flags.sampled else ALWAYS_OFF
        else:
            sampler = self._requests if kind is SpanKind.SERVER else ALWAYS_ON
        return sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """See `Sampler.get_description`."""
        return f"RequestSampler({self._requests.rate})"
