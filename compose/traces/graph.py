"""Spans as a trace backend gives them back, and what hangs together by parents and links."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TURN = {
    ("drift-monitor", "prediction.logged"),
    ("trainer", "drift.detected"),
    ("trainer", "retrain.requested"),
    ("trainer", "retrain.decided"),
    ("deployer", "model.approved"),
    ("deployer", "arm.measured"),
    ("trainer", "rollout.step"),
}
"""Which service handles which event in a turn of the loop, from a drifting window to the steps of
the rollout that it brought about."""
SUFFIX = " process"


@dataclass(frozen=True)
class Span:
    """A span, in the terms of its backend.

    Attributes:
        id: Trace and span id, joined by `/`.
        parent: That of the span within which it was made; empty at the root.
        links: Those of spans that it names beside its parent.
        service: The consumer group, for a span that handles an event.
        message: Id of the event that it handles.
        start: Seconds since 1970.
    """

    id: str
    parent: str
    name: str
    start: float
    service: str = ""
    message: str = ""
    links: tuple[str, ...] = ()

    @property
    def handled(self) -> tuple[str, str]:
        """Which service handled which type of event; of other spans nothing."""
        return (self.service, self.name.removesuffix(SUFFIX)) if self.service else ("", "")


def orphans(spans: Iterable[Span]) -> list[Span]:
    """Spans whose parent the backend does not have.

    A link may lead to a request that was not sampled, and so does not count.
    """
    spans = list(spans)
    known = {span.id for span in spans}
    return [span for span in spans if span.parent and span.parent not in known]


def graphs(spans: Iterable[Span]) -> list[list[Span]]:
    """The spans that hang together, each group in the order of time; the largest group first."""
    by_id = {span.id: span for span in spans}
    near: dict[str, set[str]] = {each: set() for each in by_id}
    for span in by_id.values():
        for other in (span.parent, *span.links):
            if other in by_id:
                near[span.id].add(other)
                near[other].add(span.id)
    found, left = [], set(by_id)
    while left:
        waiting, group = [left.pop()], []
        while waiting:
            each = waiting.pop()
            group.append(by_id[each])
            fresh = near[each] & left
            left -= fresh
            waiting.extend(fresh)
        found.append(sorted(group, key=lambda span: span.start))
    return sorted(found, key=len, reverse=True)


def turns(spans: Iterable[Span]) -> list[list[Span]]:
    """The graphs that hold a whole turn of the loop."""
    return [each for each in graphs(spans) if {span.handled for span in each} >= TURN]


def story(graph: Sequence[Span]) -> list[str]:
    """A line for each kind of step of a graph, in the order in which they began."""
    first: dict[tuple[str, str], list[Span]] = {}
    for span in graph:
        first.setdefault((span.service, span.name), []).append(span)
    begun = graph[0].start
    return [
        f"+{spans[0].start - begun:7.1f} s  {service or 'HTTP':<14} {name}"
        + (f"  ({len(spans)} times)" if len(spans) > 1 else "")
        for (service, name), spans in first.items()
    ]
