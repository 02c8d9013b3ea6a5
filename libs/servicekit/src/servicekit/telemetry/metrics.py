"""The kit's own metrics."""

from prometheus_client import Counter

EVENTS_HANDLED = Counter(
    "tailrace_events_handled_total", "Events that a handler took.", ["service", "type"]
)
EVENTS_PUBLISHED = Counter(
    "tailrace_events_published_total", "Events that a handler made.", ["service", "type"]
)
DEAD_LETTERS = Counter(
    "tailrace_dead_letters_total", "Messages that could not be handled.", ["service", "error"]
)
UNREADABLE = Counter(
    "tailrace_unreadable_messages_total",
    "Messages of a compacted topic that a view could not read.",
    ["service", "topic"],
)
OUTAGES = Counter(
    "tailrace_outages_total", "Times that a component had to wait and try again.", ["component"]
)
