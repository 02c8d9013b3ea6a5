"""A service as a command: `--help` tells what it does, and lists the settings that it reads."""

import argparse
import textwrap
from collections.abc import Sequence
from typing import TypeVar

from pydantic_core import PydanticUndefined

from servicekit.access import KafkaAccess
from servicekit.settings import load_settings

S = TypeVar("S", bound=KafkaAccess)


def settings_of_command(
    kind: type[S], name: str, does: str, arguments: Sequence[str] | None = None
) -> S:
    """The settings of a service that was started from a command line, which has no options.

    Args:
        kind: the class of the settings.
        name: of the command.
        does: a sentence for people.
        arguments: default: those of the process.

    Raises:
        SystemExit: with code 0 after `--help`, with code 2 when an argument or a setting is wrong.
    """
    parser = argparse.ArgumentParser(
        prog=name,
        description=does,
        epilog=describe(kind),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    return load_settings(kind)


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
