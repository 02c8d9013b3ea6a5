"""What small files cost ingest: CPU time of a commit with and without compaction, side by side.

Run: .venv/bin/python -m bench.small.lake_commits
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ingest.adapters.dataset_yaml import load_contracts
from ingest.adapters.delta_lake import DeltaLake
from ingest.domain.contract import Contract
from ingest.domain.once import Held
from ingest.domain.row import Origin, Row
from ingest.ports import LakeTable

COMMITS = 480
BLOCK = 60
ROWS = 40
NEVER = 10_000
DEFAULT = 64
NOTE = "x" * 2000
"""As long as the events of a commit."""


def rows(contract: Contract, first: int) -> list[Row]:
    now = datetime.now(UTC)
    values = {
        "string": "JFK",
        "number": 39.0,
        "integer": 7,
        "boolean": True,
        "timestamp": now,
    }
    columns = {column.name: values[column.kind] for column in contract.columns}
    return [Row(f"e-{i}", "JFK", now, columns, Origin(0, i, 0)) for i in range(first, first + ROWS)]


def commit(table: LakeTable, contract: Contract, number: int) -> float:
    """Milliseconds of CPU time, of all threads."""
    batch = rows(contract, number * ROWS)
    begun = time.process_time()
    table.append(batch, NOTE, {0: Held(batch[-1].origin.offset, number)}, {})
    return (time.process_time() - begun) * 1000


def main() -> None:
    contract = load_contracts(Path(__file__).parents[2] / "models")[0]["flights"]
    with tempfile.TemporaryDirectory() as folder:
        compacted = DeltaLake(f"{folder}/compacted", compact_files=DEFAULT).data(contract)
        never = DeltaLake(f"{folder}/never", compact_files=NEVER).data(contract)
        # In turn, so that whatever else the machine does hits both alike.
        took = [
            (commit(compacted, contract, n), commit(never, contract, n)) for n in range(COMMITS)
        ]
    print(f"{'commits':>9}  {'compacted':>9}  {'never':>9}  ratio of means (median: never)")
    for begin, end in pairwise(range(0, COMMITS + 1, BLOCK)):
        # Means, for the commit that compacts pays for the others.
        ours, theirs = (statistics.fmean(side) for side in zip(*took[begin:end], strict=True))
        median = statistics.median(side[1] for side in took[begin:end])
        print(
            f"{begin:>4}-{end:<4}  {ours:6.1f} ms  {theirs:6.1f} ms"
            f"  {ours / theirs:5.2f} ({median:.1f} ms)"
        )


if __name__ == "__main__":
    main()
