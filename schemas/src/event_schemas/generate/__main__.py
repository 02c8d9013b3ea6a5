"""`python -m event_schemas.generate`: writes, checks or compares the contracts."""

import argparse
import sys
from pathlib import Path

from event_schemas import EVENTS
from event_schemas.generate.files import CONTRACTS, stale, write
from event_schemas.generate.json_schema import json_schema
from event_schemas.generate.release import compare, contracts_at, last_release

LAST_RELEASE = "the last release"


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask; 0 when all is well, 1 when something must be done."""
    parser = argparse.ArgumentParser(prog="python -m event_schemas.generate", description=__doc__)
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(__file__).parents[4],
        help="the checkout (default: the one that holds this file)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; name what is stale")
    what.add_argument(
        "--against",
        nargs="?",
        const=LAST_RELEASE,
        metavar="REVISION",
        help="name what breaks the readers of a git revision (default: the newest tag v*)",
    )
    options = parser.parse_args(arguments)
    try:
        if options.check:
            return _check(options.root)
        if options.against:
            return _against(options.root, options.against)
        return _write(options.root)
    except (FileNotFoundError, ValueError) as error:
        return _fail(str(error))


def _write(root: Path) -> int:
    written = write(root)
    for path in written:
        _say(f"wrote {path}")
    if not written:
        _say("nothing to write: every generated file is fresh")
    return 0


def _check(root: Path) -> int:
    paths = stale(root)
    return _fail(*(f"stale: {path}" for path in paths), "run: make generate") if paths else 0


def _against(root: Path, revision: str) -> int:
    release = last_release(root) if revision == LAST_RELEASE else revision
    if release is None:
        _say("there is no release yet (no tag v*): nothing to compare with")
        return 0
    released = contracts_at(root, release, CONTRACTS)
    if not released:
        _say(f"{release} holds no contracts: nothing to compare with")
        return 0
    present = {event.type: json_schema(event) for event in EVENTS}
    findings = compare(released, present)
    for notice in findings.notices:
        _say(f"notice: {notice}")
    if findings.refusals:
        return _fail(*(f"breaks {release}: {refusal}" for refusal in findings.refusals))
    _say(f"compatible with {release}")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _fail(*lines: str) -> int:
    sys.stderr.write("".join(line + "\n" for line in lines))
    return 1


if __name__ == "__main__":
    sys.exit(main())
