"""The kit's own metrics."""

from prometheus_client import Counter, Gauge, Histogram

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
BATCH_SECONDS = Histogram(
    "tailrace_batch_seconds",
    "From a batch's messages in hand to their commit; its rate is the share of time at work.",
    ["group"],
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900),
)
CONSUMER_LAG = Gauge(
    "tailrace_consumer_lag",
    "Records that a consumer has yet to read; markers of transactions count as such.",
    ["group", "topic"],
    multiprocess_mode="livemax",
)
HTTP_REQUESTS = Counter(
    "http_requests_total",
    "Answered requests, but for operations and the predictor's /predict; route is empty for none.",
    ["route", "method", "status"],
)
HTTP_SECONDS = Histogram(
    "http_request_seconds",
    "From a request to the end of its answer.",
    ["route", "method"],
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CONNECTIONS = Gauge("http_connections", "Open connections over HTTP.", multiprocess_mode="livesum")
CONNECTIONS_CLOSED = Counter(
    "http_connections_closed_total",
    "Connections that were closed over a limit: connections, headers, bodies or time.",
    ["reason"],
)
