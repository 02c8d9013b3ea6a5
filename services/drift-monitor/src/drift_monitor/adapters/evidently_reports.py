"""Drift reports by Evidently."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drift_monitor.domain.columns import Column, Columns, counts_beside
from drift_monitor.domain.histograms import jensen_shannon
from drift_monitor.ports import ReportFailedError

if TYPE_CHECKING:
    import pandas as pd
    from evidently import Dataset
    from evidently.core.report import Snapshot

STATISTIC = "jensenshannon"
_METHOD = "jensenshannon_of_quantiles"
"""Our name for the distance among Evidently's."""
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';"
    " img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""Evidently's page holds its scripts, and needs nothing from elsewhere."""


class EvidentlyReport:
    """One comparison of columns, which Evidently tells as numbers and as a page.

    The distances are our own, and Evidently shows the same: what it cannot draw is judged, too.
    """

    statistic = STATISTIC

    def __init__(
        self,
        values: Mapping[str, float],
        failed: Mapping[str, str],
        numbers: "Callable[[], Snapshot]",
        page: "Callable[[], Snapshot]",
        folder: Path,
    ) -> None:
        self.values = values
        self.failed = failed
        self._numbers = numbers
        self._page = page
        self._folder = folder

    def save(self, name: str, *, html: bool) -> str:
        """See `DriftReport.save`; a page takes 4 MB, the numbers 3 kB."""
        path = (self._folder / f"{name}.json").resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise OSError(f"{name!r} leaves the folder of the reports")
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, _drawn(lambda: self._numbers().json()))
        if html:
            text = _drawn(lambda: _guarded(self._page().get_html_str(as_iframe=False)))
            path = path.with_suffix(".html")
            _replace(path, text)
        return path.as_uri()


class EvidentlyReports:
    """Compares columns by their Jensen-Shannon distance."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def warm_up(self) -> None:
        """Import Evidently (7 s) and run it once, so that the first window does not wait."""
        columns = [Column("number", True), Column("category", False)]
        tiny: dict[str, Any] = {
            "number": np.linspace(0.0, 1.0, 20),
            "category": np.array(["a", "b"] * 10),
        }
        self.compare(columns, tiny, tiny, {"number": 0.1, "category": 0.1})._numbers()

    def compare(
        self,
        columns: Sequence[Column],
        reference: Columns,
        current: Columns,
        thresholds: Mapping[str, float],
    ) -> EvidentlyReport:
        """See `DriftReports.compare`."""
        values: dict[str, float] = {}
        failed: dict[str, str] = {}
        for column in columns:
            name = column.name
            try:
                values[name] = jensen_shannon(*counts_beside(reference[name], current[name]))
            # Whatever is in one column, the others and the prediction that closed the window are
            # not to blame.
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {error}"
        if not values:
            raise ReportFailedError("; ".join(f"{n}: {e}" for n, e in failed.items()))
        shown = [c for c in columns if c.name in values and _can_be_drawn(c, reference, current)]

        def numbers() -> "Snapshot":
            evidently = _evidently()
            # Column by column: the preset spends most of its time on the plots of its page.
            report = evidently.Report(
                [
                    evidently.metrics.ValueDrift(
                        column=c.name, method=_METHOD, threshold=thresholds.get(c.name)
                    )
                    for c in shown
                ]
            )
            return report.run(_dataset(shown, current), _dataset(shown, reference))

        def page() -> "Snapshot":
            evidently = _evidently()
            preset = evidently.presets.DataDriftPreset(
                columns=[c.name for c in shown],
                num_method=_METHOD,
                cat_method=_METHOD,
                per_column_threshold=dict(thresholds),
            )
            return evidently.Report([preset]).run(
                _dataset(shown, current, _escaped), _dataset(shown, reference, _escaped)
            )

        return EvidentlyReport(values, failed, numbers, page, self._folder)


def _drawn(draw: Callable[[], str]) -> str:
    """What Evidently draws.

    Raises:
        ReportFailedError: it could not, whatever it raised.
    """
    try:
        return draw()
    except Exception as error:
        raise ReportFailedError(f"{type(error).__name__}: {error}") from error


@cache
def _evidently() -> Any:
    """Evidently, which knows our distance over quantiles of the reference."""
    with warnings.catch_warnings():
        # Evidently 0.7 patches a private part of NumPy while it is imported.
        warnings.simplefilter("ignore")
        import evidently
        import evidently.metrics
        import evidently.presets
        from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
        from evidently.legacy.core import ColumnType

    def distance(
        reference: "pd.Series", current: "pd.Series", kind: Any, threshold: float
    ) -> tuple[float, bool]:
        left, right = (
            each.to_numpy(dtype=np.float64 if kind == ColumnType.Numerical else np.str_)
            for each in (reference, current)
        )
        value = jensen_shannon(*counts_beside(left, right))
        return value, value >= threshold

    register_stattest(
        StatTest(
            name=_METHOD,
            display_name="Jensen-Shannon distance",
            allowed_feature_types=[ColumnType.Categorical, ColumnType.Numerical],
            default_threshold=0.1,
        ),
        distance,
    )
    return evidently


def _dataset(
    columns: Sequence[Column], values: Columns, show: Callable[[Any], Any] = lambda each: each
) -> "Dataset":
    import pandas as pd

    evidently = _evidently()
    definition = evidently.DataDefinition(
        numerical_columns=[c.name for c in columns if c.number],
        categorical_columns=[c.name for c in columns if not c.number],
    )
    frame = pd.DataFrame({c.name: show(values[c.name]) for c in columns})
    return evidently.Dataset.from_pandas(frame, data_definition=definition)


def _can_be_drawn(column: Column, reference: Columns, current: Columns) -> bool:
    """Whether a histogram has room for the column: its bins may be closer than floats are."""
    if not column.number:
        return True
    values = np.concatenate([reference[column.name], current[column.name]])
    try:
        np.histogram(values[np.isfinite(values)], bins=100)
    except ValueError:
        return False
    return True


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
