"""Lists in events end where a topic would refuse them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

MAX_BYTES = 400_000
"""Of a list as JSON; a Kafka message holds 1,000,000."""


def bounded(
    entries: Sequence[Mapping[str, Any]], limit: int
) -> tuple[list[Mapping[str, Any]], int]:
    """The first entries, at most `limit` and `MAX_BYTES` together, and how many are left out."""
    kept: list[Mapping[str, Any]] = []
    size = 0
    for entry in entries[:limit]:
        # Escaped as ASCII, a text is never shorter than in the event.
        size += len(json.dumps(entry)) + 1
        if size > MAX_BYTES:
            break
        kept.append(entry)
    return kept, len(entries) - len(kept)
