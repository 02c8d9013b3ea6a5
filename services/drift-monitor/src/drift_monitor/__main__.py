"""Starts `drift-monitor windows` or `drift-monitor watch`."""

import argparse
import sys
from collections.abc import Sequence

from drift_monitor.settings import WatchSettings, WindowsSettings
from servicekit.command import add_reset_arguments, carry_out, describe, reset_of
from servicekit.loops.offset_reset import OffsetReset

WINDOWS = """\
Joins predictions with late labels, measures every arm (arm.measured), and compares each window
of the version in force with its reference (drift.detected, drift.cleared). Exactly once: state,
outputs and offsets share a transaction."""

WATCH = """\
Watches predictions live: rates and mean scores for Prometheus and /v1/live, and an early warning
(drift.suspected) when the scores of a version change. Kept in memory; nothing relies on it, so
there is no --from."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    parser = argparse.ArgumentParser(
        prog="drift-monitor",
        description="Says how every arm does, and when the world has changed.",
        epilog="Settings come from the environment; drift-monitor COMMAND --help lists them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="windows|watch")
    parsers: dict[str, argparse.ArgumentParser] = {}
    for name, summary, text, kind in (
        ("windows", "exact: the label join, arms, and drift verdicts", WINDOWS, WindowsSettings),
        ("watch", "live: rates, scores, and early warnings", WATCH, WatchSettings),
    ):
        parsers[name] = commands.add_parser(
            name,
            help=summary,
            description=text,
            epilog=describe(kind),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    add_reset_arguments(parsers["windows"], state=True)
    chosen = parser.parse_args(arguments)
    # The two share no imports: Faust replaces parts of asyncio that the other does not want.
    if chosen.command == "windows":
        _windows(reset_of(parsers["windows"], chosen))
    else:
        _watch()


def _windows(reset: OffsetReset | None) -> None:
    from drift_monitor.app import build
    from servicekit.kafka import bus_from
    from servicekit.run import run
    from servicekit.settings import load_settings

    settings = load_settings(WindowsSettings)
    bus = bus_from(settings)
    components = build(settings, bus)
    if reset is not None:
        sys.exit(carry_out(reset, components))
    run("drift-monitor", settings, components)


def _watch() -> None:
    from drift_monitor.watch.app import build
    from servicekit.kafka import bus_from
    from servicekit.run import run
    from servicekit.settings import load_settings

    settings = load_settings(WatchSettings)
    bus = bus_from(settings)
    components, api = build(settings, bus)
    run("drift-monitor", settings, components, api)


if __name__ == "__main__":
    main()
