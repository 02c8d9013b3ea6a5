"""Writes the dashboards that compose and the chart hand to Grafana.

python compose/grafana/generate.py            writes helm/tailrace/files/dashboards/*.json
python compose/grafana/generate.py --check    fails when they are stale
"""

import argparse
import sys
from pathlib import Path

from boards import data, kafka, loop, platform, quality, rollout
from boards.frame import built

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "helm" / "tailrace" / "files" / "dashboards"
BOARDS = [board.BOARD for board in (platform, loop, rollout, quality, data, kafka)]


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the dashboards.")
    parser.add_argument("--check", action="store_true", help="only say whether they are current")
    check = parser.parse_args(arguments).check
    wanted = {FOLDER / f"{board.uid}.json": built(board) for board in BOARDS}
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    strays = [path for path in FOLDER.glob("*.json") if path not in wanted]
    if check:
        for path in (*stale, *strays):
            name = path.relative_to(ROOT)
            print(f"{name}: stale; run {Path(__file__).name}", file=sys.stderr)  # noqa: T201
        return 1 if stale or strays else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_text(wanted[path])
    for path in strays:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
