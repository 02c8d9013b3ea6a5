"""Writes the table of services in README.md from the catalog of events.

python docs/services.py            writes it
python docs/services.py --check    fails when it is stale
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from event_schemas.catalog import ROUTES, SERVICES, Route

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- services: made by docs/services.py from the catalog of events -->\n"
END = "<!-- end of services -->\n"

REQUESTS = {
    "ingest": "records and labels over HTTP",
    "predictor": "requests over HTTP and gRPC",
}
"""What comes to a service that is no event."""


def table(services: Mapping[str, str], routes: Mapping[str, Route]) -> str:
    """Each service, with what it reads and what it publishes."""
    lines = ["| service | in | out |", "|---|---|---|"]
    for service in services:
        requests = [REQUESTS[service]] if service in REQUESTS else []
        read = [f"`{event}`" for event, route in routes.items() if service in route.receivers]
        sent = [f"`{event}`" for event, route in routes.items() if service in route.senders]
        link = f"[{service}](services/{service})"
        lines.append(f"| {link} | {', '.join(requests + read)} | {', '.join(sent)} |")
    return "\n".join(lines) + "\n"


def filled(page: str, text: str) -> str:
    """A page with a text between its marks.

    Raises:
        ValueError: the page has lost a mark.
    """
    before, first, rest = page.partition(BEGIN)
    _, last, after = rest.partition(END)
    if not first or not last:
        raise ValueError(f"the page has lost its marks {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + text + END + after


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the table of services in README.md.")
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    chosen = parser.parse_args(arguments)
    page = README.read_text(encoding="utf-8")
    current = filled(page, table(SERVICES, ROUTES))
    if page == current:
        return 0
    if chosen.check:
        print("README.md: stale; run make generate", file=sys.stderr)  # noqa: T201
        return 1
    README.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
