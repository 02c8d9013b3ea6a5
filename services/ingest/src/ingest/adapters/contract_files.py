"""The contracts as their files say now: read again when one of them has changed."""

import threading
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence, ValuesView
from pathlib import Path

from ingest.adapters.dataset_yaml import FILES, ContractError, merge, read_contracts
from ingest.domain.contract import Contract, why_not_now

Stamps = Mapping[Path, tuple[int, int]]


class ContractFiles(Mapping[str, Contract]):
    """Contracts by dataset. HTTP and the loop ask the same object, so both see a change at once.

    A file that is wrong, or says what only a start can bring about, changes nothing: what it said
    before counts, and `report` is called with everything that is wrong, once a change.
    """

    def __init__(
        self, models_dir: Path, report: Callable[[Sequence[str]], None] = lambda problems: None
    ) -> None:
        self._models_dir = models_dir
        self._report = report
        self._lock = threading.Lock()
        self._stamps: Stamps | None = None
        self._contracts: dict[str, Contract] = {}
        self._before: dict[str, Contract] = {}
        """Every contract that ever counted here, also of files that have gone."""
        self._datasets: dict[Path, str] = {}
        """What each file was about when it was right."""
        self._now()

    def __getitem__(self, dataset: str) -> Contract:
        return self._now()[dataset]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    # One reading each: a file may change between a key and its value.
    def items(self) -> ItemsView[str, Contract]:
        """All datasets and contracts of one moment."""
        return self._now().items()

    def values(self) -> ValuesView[Contract]:
        """All contracts of one moment."""
        return self._now().values()

    def _now(self) -> dict[str, Contract]:
        with self._lock:
            stamps = _stamps(self._models_dir)
            if stamps != self._stamps:
                self._read()
                self._stamps = stamps
            return self._contracts

    def _read(self) -> None:
        is_start = self._stamps is None
        read = read_contracts(self._models_dir)
        found, problems = merge(read)
        contracts: dict[str, Contract] = {}
        for dataset, contract in found.items():
            before = self._before.get(dataset)
            why = None if is_start else why_not_now(before, contract)
            if why is not None:
                problems.append(f"dataset {dataset}: {why}")
            counts = contract if why is None else before
            if counts is not None:
                contracts[dataset] = counts
        for path, said in read:
            if not isinstance(said, ContractError):
                self._datasets[path] = said.dataset
            elif (before := self._before.get(self._datasets.get(path, ""))) is not None:
                contracts.setdefault(before.dataset, before)
        self._before |= contracts
        self._contracts = contracts
        self._report(problems)


def _stamps(models_dir: Path) -> Stamps:
    stamps: dict[Path, tuple[int, int]] = {}
    for path in models_dir.glob(FILES):
        try:
            stat = path.stat()
        except OSError:
            continue  # it went meanwhile, or leads nowhere
        stamps[path] = (stat.st_mtime_ns, stat.st_size)
    return stamps
