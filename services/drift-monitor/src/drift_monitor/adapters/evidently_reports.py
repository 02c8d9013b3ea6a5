"""Drift reports by Evidently."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift_monitor.domain.columns import Column, Columns
from drift_monitor.ports import ReportFailedError

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

STATISTIC = "jensenshannon"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';"
    " img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""Evidently's page holds its scripts, and needs nothing from elsewhere."""


class EvidentlyReport:
    """One comparison of columns by Evidently."""

    statistic = STATISTIC

    def __init__(
        self,
        snapshot: "Snapshot",
        values: Mapping[str, float],
        page: "Callable[[], Snapshot]",
        folder: Path,
    ) -> None:
        self.values = values
        self._snapshot = snapshot
        self._page = page
        self._folder = folder

    def save(self, name: str, *, html: bool) -> str:
        """See `DriftReport.save`; a page takes 4 MB, the numbers 3 kB."""
        path = (self._folder / f"{name}.json").resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise OSError(f"{name!r} leaves the folder of the reports")
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, self._snapshot.json())
        if html:
            try:
                text = _guarded(self._page().get_html_str(as_iframe=False))
            except Exception as error:
                raise ReportFailedError(f"{type(error).__name__}: {error}") from error
            path = path.with_suffix(".html")
            _replace(path, text)
        return path.as_uri()


class EvidentlyReports:
    """Compares columns by their Jensen-Shannon distance."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def warm_up(self) -> None:
        """Import Evidently (7 s) and run it once, so that the first window does not wait."""
        import numpy as np

        columns = [Column("number", True), Column("category", False)]
        tiny: dict[str, Any] = {
            "number": np.linspace(0.0, 1.0, 20),
            "category": np.array(["a", "b"] * 10),
        }
        self.compare(columns, tiny, tiny, {"number": 0.1, "category": 0.1})

    def compare(
        self,
        columns: Sequence[Column],
        reference: Columns,
        current: Columns,
        thresholds: Mapping[str, float],
    ) -> EvidentlyReport:
        """See `DriftReports.compare`."""
        import pandas as pd

        with warnings.catch_warnings():
            # Evidently 0.7 patches a private part of NumPy while it is imported.
            warnings.simplefilter("ignore")
            from evidently import DataDefinition, Dataset, Report
            from evidently.metrics import ValueDrift
            from evidently.presets import DataDriftPreset

        definition = DataDefinition(
            numerical_columns=[c.name for c in columns if c.number],
            categorical_columns=[c.name for c in columns if not c.number],
        )

        def dataset(values: Columns, show: Callable[[Any], Any] = lambda each: each) -> Dataset:
            frame = pd.DataFrame({c.name: show(values[c.name]) for c in columns})
            return Dataset.from_pandas(frame, data_definition=definition)

        def page() -> "Snapshot":
            preset = DataDriftPreset(
                columns=[c.name for c in columns],
                num_method=STATISTIC,
                cat_method=STATISTIC,
                per_column_threshold=dict(thresholds),
            )
            return Report([preset]).run(dataset(current, _escaped), dataset(reference, _escaped))

        try:
            # Column by column: the preset spends most of its time on the plots of its page.
            report = Report(
                [
                    ValueDrift(column=c.name, method=STATISTIC, threshold=thresholds.get(c.name))
                    for c in columns
                ]
            )
            snapshot = report.run(dataset(current), dataset(reference))
            values = {
                metric["config"]["column"]: float(metric["value"])
                for metric in snapshot.dict()["metrics"]
                if "column" in metric["config"]
            }
        # Whatever a library raises over some column, the prediction that closed the window is
        # not to blame: it must not end among the dead letters.
        except Exception as error:
            raise ReportFailedError(f"{type(error).__name__}: {error}") from error
        absent = [c.name for c in columns if c.name not in values]
        if absent:
            raise ReportFailedError(f"the report lacks {', '.join(absent)}")
        return EvidentlyReport(snapshot, values, page, self._folder)


def _escaped(values: Any) -> Any:
    """Categories that end no script and begin no tag: Evidently writes them into both."""
    if values.dtype.kind == "f":
        return values
    return [escape(value) for value in values.tolist()]


def _guarded(page: str) -> str:
    """A page that loads nothing from elsewhere and tells nobody anything.

    Raises:
        ValueError: it has no head to say so in.
    """
    head, tag, rest = page.partition("<head>")
    if not tag:
        raise ValueError("the page has no <head>, so it cannot have a content policy")
    return f'{head}{tag}<meta http-equiv="Content-Security-Policy" content="{POLICY}">{rest}'


def _replace(path: Path, text: str) -> None:
    """Write a file in one step, so that nobody reads half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
