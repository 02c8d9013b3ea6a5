"""The steps of the drill, each with the time that it took."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from event_schemas import DataArrived, DataQuarantined, RecordReceived
from local.stack import archive, leftovers, lifecycle, unpack
from local.stack.record import Record
from local.stack.settings import StackSettings
from tailrace.bus import stack_bus
from tailrace.drill import checks, inventory
from tailrace.drill.checks import Check
from tailrace.drill.inventory import Inventory
from tailrace.drill.traffic import AGAIN, Traffic
from tailrace.flights.registry import mlflow_client
from tailrace.flights.replay import MODEL

ON_PURPOSE = {
    RecordReceived.topic(): AGAIN,
    # At every start ingest repeats the newest commit of each table, which may not have been sent.
    DataArrived.topic(): 2,
    DataQuarantined.topic(): 2,
}
"""How many events may be there twice, by topic; their readers know them by their ids."""


@dataclass(frozen=True)
class Step:
    """Something that was done, and the seconds that it took."""

    name: str
    seconds: float
    note: str = ""


@dataclass
class Outcome:
    """What a drill has shown."""

    steps: list[Step] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    recovery_seconds: float = 0.0
    """From the loss to the first answer: restore, start, and the predictor's first prediction."""
    backup_bytes: int = 0

    @property
    def passed(self) -> bool:
        """Whether every promise was kept, and there were any."""
        return bool(self.checks) and all(check.kept for check in self.checks)

    def document(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return {
            "passed": self.passed,
            "recovery_seconds": round(self.recovery_seconds, 1),
            "backup_bytes": self.backup_bytes,
            "steps": [asdict(s) | {"seconds": round(s.seconds, 1)} for s in self.steps],
            "checks": [asdict(c) for c in self.checks],
        }


class Rehearsal:
    """One drill on a stack of its own.

    Args:
        settings: See `isolated`.
        start: Starts the named parts of a stack, or all, and waits until they are ready.
        on_step: Called with each step when it is done.
        most_seconds: What recovery may take.
    """

    def __init__(
        self,
        settings: StackSettings,
        start: Callable[[StackSettings, tuple[str, ...]], Record],
        on_step: Callable[[Step], None],
        most_seconds: float,
    ) -> None:
        self._settings = settings
        self._start = start
        self._on_step = on_step
        self._most = most_seconds
        self._layout = settings.layout
        self.outcome = Outcome()

    @property
    def backup(self) -> Path:
        """Where the archive lies; a wipe leaves it alone."""
        return self._layout.home / "backup.tar.gz"

    def run(self) -> Outcome:
        """Do it all; the stack is still up afterwards.

        Raises:
            StackError: A step could not be done.
        """
        traffic = Traffic()
        with self._step("start the stack"):
            record = self._start(self._settings, ())
        with self._step("history, a first model, three days of predictions and labels"):
            question = asyncio.run(traffic.before(record.addresses, stack_bus(self._settings)))
        versions = _versions(record)
        with self._step("stop"):
            self._down()
        with self._step("count what the broker holds"):
            before = self._count()
        with self._step("back up") as note:
            note(self._back_up())
        with self._step("lose everything"):
            lifecycle.wipe(self._layout)
        lost = time.monotonic()
        with self._step("restore") as note:
            note(self._restore())
        counting = time.monotonic()
        with self._step("count what came back"):
            restored = self._count()
        lost += time.monotonic() - counting  # nobody would do that in an emergency
        with self._step("start the stack again"):
            record = self._start(self._settings, ())
        with self._step("first answer"):
            asyncio.run(traffic.first_answer(record.addresses))
        self.outcome.recovery_seconds = time.monotonic() - lost
        with self._step("the days after it, until every label is joined"):
            again = asyncio.run(traffic.after(record.addresses, stack_bus(self._settings)))
        with self._step("count what is there now"):
            after = self._inventory()
        counted = traffic.counted((versions, _versions(record)))
        self.outcome.checks = [
            *checks.same_answer(question, again),
            *checks.offsets_go_on(before, restored),
            *checks.nothing_twice(before, after, ON_PURPOSE),
            *checks.counts_agree(question.version, counted),
            checks.in_time(self.outcome.recovery_seconds, self._most),
        ]
        return self.outcome

    def _count(self) -> Inventory:
        """What the broker holds, with nobody else there who could change it."""
        self._start(self._settings, ("kafka",))
        try:
            return self._inventory()
        finally:
            self._down()

    def _inventory(self) -> Inventory:
        settings = self._settings
        return inventory.take(settings.bootstrap_servers, settings.broker_kind)

    def _down(self) -> None:
        with lifecycle.locked(self._layout):
            lifecycle.take_down(self._layout)

    def _back_up(self) -> str:
        total = archive.write(self._layout, self.backup, left_out={}, progress=lambda _: None)
        self.outcome.backup_bytes = self.backup.stat().st_size
        return f"{len(total.files)} files, {self.outcome.backup_bytes / 2**20:.1f} MiB"

    def _restore(self) -> str:
        with lifecycle.locked(self._layout):
            leftovers.stop(self._layout)
            contents = unpack.restore(self.backup, self._layout, progress=lambda _: None)
        return f"{len(contents.files)} files, each with its SHA-256"

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        notes: list[str] = []
        begun = time.monotonic()
        yield notes.append
        step = Step(name, time.monotonic() - begun, "; ".join(notes))
        self.outcome.steps.append(step)
        self._on_step(step)


def _versions(record: Record) -> int:
    """How many versions the registry holds."""
    client = mlflow_client(record.addresses["mlflow"])
    return len(client.search_model_versions(f"name='{MODEL}'"))
