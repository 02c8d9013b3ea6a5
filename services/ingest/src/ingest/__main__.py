"""`ingest`: runs the service until it is told to stop."""

import sys

from ingest.app import build
from ingest.settings import IngestSettings
from servicekit.command import carry_out, read_command
from servicekit.kafka import bus_from
from servicekit.run import run

DOES = """\
Takes records and labels in over HTTP and record.received, checks them against their contracts,
writes lake and online features, and publishes data.arrived and label.arrived. Rows that the lake
has are not written again after --from."""


def main() -> None:
    """Entry point of the console script."""
    settings, reset = read_command(IngestSettings, "ingest", DOES, state=False)
    bus = bus_from(settings)
    components, api = build(settings, bus)
    if reset is not None:
        sys.exit(carry_out(reset, components))
    run("ingest", settings, components, api)


if __name__ == "__main__":
    main()
