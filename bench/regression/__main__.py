"""Tells which ratio of a benchmark got worse, and fails when one did by more than is allowed.

Run: .venv/bin/python -m bench.regression COMMITTED.json NEW.json [--allowed 0.3]
"""

import argparse
import json
import sys
from pathlib import Path

from bench.regression.ratios import changes, ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("committed", type=Path, help="the result that is held to")
    parser.add_argument("new", type=Path)
    parser.add_argument(
        "--allowed", type=float, default=0.3, help="share that a ratio may lose; runners differ"
    )
    options = parser.parse_args()
    found = changes(
        *(ratios(json.loads(file.read_text())) for file in (options.committed, options.new))
    )
    if not found:
        sys.exit(f"{options.committed} and {options.new} have no ratio in common")
    for change in found:
        mark = "WORSE" if change.worse > options.allowed else "ok"
        print(f"{mark:<6}{change.before:9.3f} → {change.after:9.3f}  {change.name}")
    if found[0].worse > options.allowed:
        sys.exit(f"a ratio lost more than {options.allowed:.0%}: profile it, or commit the result")


if __name__ == "__main__":
    main()
