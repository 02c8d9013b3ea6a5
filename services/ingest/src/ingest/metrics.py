"""What ingest counts."""

from prometheus_client import Counter, Gauge, Histogram

ACCEPTED = Counter(
    "ingest_accepted_total", "Records and labels that were acknowledged over HTTP.", ["kind"]
)
REFUSED = Counter(
    "ingest_refused_total", "Requests that were refused, by HTTP status.", ["kind", "status"]
)
ROWS = Counter(
    "ingest_rows_total",
    "Rows that came to a table: stored, quarantined, or repeated (held already).",
    ["dataset", "outcome"],
)
LEFT_OUT = Counter(
    "ingest_event_entries_left_out_total",
    "Entries of data.quarantined (reasons) and data.arrived (profile) beyond what an event lists.",
    ["field"],
)
NEWEST = Gauge(
    "ingest_newest_event_time_seconds",
    "Event time of the newest row of the last commit, in seconds since 1970.",
    ["dataset"],
)
NOT_ONLINE = Counter(
    "ingest_not_online_total",
    "Rows that were not written online, since they lie too far ahead of the clock.",
    ["dataset"],
)
COMMIT_SECONDS = Histogram(
    "ingest_commit_seconds", "Duration of a commit of the lake.", ["dataset"]
)
PUSH_SECONDS = Histogram(
    "ingest_push_seconds", "Duration of a write to the online feature store.", ["dataset"]
)
INVALID_CONTRACTS = Gauge(
    "ingest_contracts_invalid", "Files of contracts that are wrong; the log says which and why."
)
