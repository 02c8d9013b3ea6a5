"""A service as a command: `--help` tells what it does, and lists the settings that it reads."""

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from pydantic_core import PydanticUndefined

from servicekit.access import KafkaAccess
from servicekit.component import Component
from servicekit.errors import FatalBusError, RefusedResetError, UnavailableError
from servicekit.exits import EXIT_FAILED, EXIT_UNUSABLE
from servicekit.loops.offset_reset import OffsetReset, ResetReport
from servicekit.settings import load_settings
from servicekit.start import FORMS, Start

S = TypeVar("S", bound=KafkaAccess)


def settings_of_command(
    kind: type[S], name: str, does: str, arguments: Sequence[str] | None = None
) -> S:
    """The settings of a service that was started from a command line, which has no options.

    `--help` shows what the command `does`, a sentence for people.

    Raises:
        SystemExit: with code 0 after `--help`, with code 2 when an argument or a setting is wrong.
    """
    _parser(kind, name, does).parse_args(arguments)
    return load_settings(kind)


def read_command(
    kind: type[S], name: str, does: str, arguments: Sequence[str] | None = None, *, state: bool
) -> tuple[S, OffsetReset | None]:
    """As `settings_of_command`, of a service that keeps offsets in Kafka: `--from` resets them.

    `state` says whether it keeps a state in Kafka as well.
    """
    parser = _parser(kind, name, does)
    add_reset_arguments(parser, state=state)
    reset = reset_of(parser, parser.parse_args(arguments))
    return load_settings(kind), reset


def _parser(kind: type[KafkaAccess], name: str, does: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=name,
        description=does,
        epilog=describe(kind),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_reset_arguments(parser: argparse.ArgumentParser, *, state: bool) -> None:
    """Add `--from`, and with a state `--reset-state`."""
    group = parser.add_argument_group(
        "where it reads",
        "It goes on where it was. Only these move it; with them it does nothing else, and ends.",
    )
    group.add_argument(
        "--from",
        dest="start",
        metavar="WHERE",
        help=f"go on from there at the next start: {FORMS}; moments are those at which the brokers"
        " took a message",
    )
    if state:
        group.add_argument(
            "--reset-state",
            action="store_true",
            help="with --from: forget in the same transaction what it had counted; without it, a"
            " place before the present one is refused, since events would be counted twice",
        )


def reset_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> OffsetReset | None:
    """What `--from` asks for.

    Raises:
        SystemExit: with code 2 when it cannot be read.
    """
    reset_state = bool(getattr(given, "reset_state", False))
    if given.start is None:
        if reset_state:
            parser.error("--reset-state goes with --from WHERE")
        return None
    try:
        return OffsetReset(Start.parse(given.start, datetime.now(UTC)), reset_state)
    except ValueError as error:
        parser.error(f"argument --from: {error}")


def carry_out(reset: OffsetReset, components: Iterable[Component]) -> int:
    """Reset the components that keep offsets, and say what was done; returns the exit code."""
    # Here, for it imports prometheus_client: a program whose processes share their metrics reads
    # its settings before it says where the metrics lie.
    from servicekit.loops.loop import SessionLoop

    for component in components:
        if not isinstance(component, SessionLoop):
            continue
        try:
            report = component.reset_offsets(reset)
        except RefusedResetError as error:
            print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
            return EXIT_UNUSABLE
        except (UnavailableError, FatalBusError) as error:
            print(f"{component.name} was not moved: {error}", file=sys.stderr)  # noqa: T201
            return EXIT_FAILED
        print("\n".join(_lines(report)))  # noqa: T201
    return 0


def _lines(report: ResetReport) -> Iterable[str]:
    for offset in report.offsets:
        before = "the start" if offset.committed is None else offset.committed
        yield (
            f"{report.loop}: {offset.topic}[{offset.partition}] goes on at {offset.target},"
            f" no longer at {before}"
            if offset.target != offset.committed
            else f"{report.loop}: {offset.topic}[{offset.partition}] stays at {offset.target}"
        )
    if report.forgotten:
        yield f"{report.loop}: forgot {report.forgotten} keys of its state"


def describe(kind: type[KafkaAccess]) -> str:
    """The environment variables that a class of settings reads, with defaults and meanings."""
    lines = ["Settings come from the environment:", ""]
    for name, field in kind.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, PydanticUndefined, {}) else f" [{default}]"
        lines.append(f"  {name.upper()}{shown}")
        meaning = " ".join((field.description or "").split())
        lines += textwrap.wrap(meaning, 88, initial_indent="      ", subsequent_indent="      ")
    return "\n".join(lines)
