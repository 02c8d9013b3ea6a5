"""Judges one closed window against the reference of its version."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift_monitor.domain.columns import (
    Column,
    Columns,
    comparable,
    mean_difference,
    missing_shares,
    rows_to_columns,
)
from drift_monitor.domain.histograms import SCORE_BINS
from drift_monitor.domain.loss import estimated_loss
from drift_monitor.domain.plan import Plan
from drift_monitor.domain.verdicts import (
    Shift,
    Verdict,
    judge_data,
    judge_feed,
    judge_performance,
    judge_scores,
)
from drift_monitor.domain.windows import Window
from drift_monitor.handlers import metrics
from drift_monitor.handlers.events import answer_column, columns_of, moment, sketch_of
from drift_monitor.handlers.plans import Plans
from drift_monitor.handlers.tables import RowsTable, State, key_of
from drift_monitor.metrics import DRIFT_SCORE
from drift_monitor.ports import (
    BadReferenceError,
    DriftReport,
    DriftReports,
    References,
    ReportFailedError,
)
from event_schemas.model import ModelVersion
from servicekit.errors import UnavailableError
from servicekit.telemetry.committed import when_committed

log = logging.getLogger(__name__)


@dataclass
class Seen:
    """The verdicts of a window, and the report behind them."""

    verdicts: list[Verdict] = field(default_factory=list)
    report: DriftReport | None = None
    name: str = ""

    def save(self, *, html: bool) -> str | None:
        """Keep the report; one that cannot be kept costs the report and not the verdict."""
        if self.report is None:
            return None
        try:
            return self.report.save(self.name, html=html)
        except (OSError, ReportFailedError) as error:
            log.error("the drift report %s was not kept: %s", self.name, error)
            return None


class Judging:
    """Compares windows with references; everything it reads is state, so it repeats itself."""

    def __init__(
        self, state: State, plans: Plans, references: References, reports: DriftReports
    ) -> None:
        self._state = state
        self._plans = plans
        self._references = references
        self._reports = reports

    def judge(self, key: str, window: Window, *, compare: bool = True) -> Seen:
        """What the window says; a broken feed first, for it explains the others.

        Args:
            key: of the window in its table.
            window: that is due.
            compare: with the reference; False: it is judged by its labels alone, as the reference
                could not be read for too long.

        Raises:
            UnavailableError: the reference cannot be read now.
        """
        seen = Seen()
        version = self._state.versions.get(key_of(window.model, window.version))
        if version is None:
            self._unjudged(window, "nobody has named the version")
            return seen
        plan = self._plans.of_version(window.model, window.version)
        if window.rows < plan.min_rows:
            self._unjudged(window, "too few rows")
        elif not compare:
            self._unjudged(window, "reference unavailable")
        else:
            try:
                self._judge_columns(seen, key, window, version, plan)
            except UnavailableError:
                raise
            except Exception:  # of numpy and pandas, on rows and references of any kind
                log.exception("the comparison of %s version %s failed", *_who(window))
                self._unjudged(window, "comparison failed")
        seen.verdicts.append(
            judge_performance(window.loss, version.reference_loss, plan, version.loss.name)
        )
        if window.loss.n:
            when_committed(metrics.WINDOW_LOSS.labels(*_who(window)).set, window.loss.mean)
        if window.rows and version.task == "binary":
            when_committed(
                metrics.ESTIMATED_LOSS.labels(*_who(window)).set, estimated_loss(window.scores)
            )
        if version.reference_loss is not None:
            when_committed(metrics.PROMISED_LOSS.labels(*_who(window)).set, version.reference_loss)
        return seen

    def _reference(self, window: Window, version: ModelVersion) -> Columns | None:
        if version.reference is None:
            self._unjudged(window, "no reference")
            return None
        try:
            return self._references.load(
                version.reference.uri,
                version.reference.sha256,
                [*columns_of(version), answer_column(version)],
            )
        except BadReferenceError as error:
            log.error("version %s of %s has no reference: %s", version.version, window.model, error)
            self._unjudged(window, "bad reference")
            return None

    def _judge_columns(
        self,
        seen: Seen,
        key: str,
        window: Window,
        version: ModelVersion,
        plan: Plan,
    ) -> None:
        reference = self._reference(window, version)
        if reference is None:
            return
        wanted = columns_of(version)
        current = rows_to_columns(self._sample(key, window, plan), wanted)
        shares = missing_shares(wanted, reference, current)
        seen.verdicts.append(judge_feed(shares))
        kept, before, now = comparable(wanted, shares, reference, current)
        thresholds = {column.name: plan.threshold_of(column.name) for column in kept}
        if kept:
            try:
                seen.report = self._reports.compare(kept, before, now, thresholds)
            except ReportFailedError as error:
                log.error("no drift report of %s version %s: %s", *_who(window), error)
                self._unjudged(window, "report failed")
        if seen.report is not None:
            seen.name = _report_name(window)
            self._leave_out(window, seen.report.failed)
            kept = [column for column in kept if column.name in seen.report.values]
            shifts = list(_shifts(kept, before, now, seen.report, plan))
            for shift in shifts:
                when_committed(DRIFT_SCORE.labels(window.model, shift.column).set, shift.value)
            seen.verdicts.append(judge_data(shifts, plan))
        seen.verdicts.extend(_of_answers(window, version, reference, plan))

    def _sample(self, key: str, window: Window, plan: Plan) -> list[dict[str, object]]:
        rows = sorted(self._state.rows.of_window(key, window.part, window.chunks))
        return [RowsTable.features_of(row) for row in rows[: plan.sample_rows]]

    def _leave_out(self, window: Window, columns: Mapping[str, str]) -> None:
        for column, why in columns.items():
            log.error("%s version %s: %s is not compared: %s", *_who(window), column, why)
            when_committed(metrics.COLUMNS_UNJUDGED.labels(window.model).inc)

    def _unjudged(self, window: Window, why: str) -> None:
        log.info("a window of %s version %s is not compared: %s", *_who(window), why)
        when_committed(metrics.WINDOWS_UNJUDGED.labels(window.model, why).inc)


def _shifts(
    kept: Sequence[Column], before: Columns, now: Columns, report: DriftReport, plan: Plan
) -> Iterator[Shift]:
    for column in kept:
        yield Shift(
            column.name,
            report.statistic,
            report.values[column.name],
            plan.threshold_of(column.name),
            mean_difference(before[column.name], now[column.name]),
            column.watched,
        )


def _of_answers(
    window: Window, version: ModelVersion, reference: Columns, plan: Plan
) -> Iterator[Verdict]:
    """Whether the answers moved; no verdict where the reference holds none to compare with."""
    name = answer_column(version).name
    answers = reference.get(name, np.empty(0))
    counts = _answer_counts(version, answers)
    if not sum(counts):
        return
    now = sketch_of(window.scores, version).counts
    moved = None
    if version.task == "binary":
        middle = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS
        moved = float(middle @ np.array(now)) / window.rows - float(np.nanmean(answers))
    verdict = judge_scores(counts, now, plan, moved, name)
    when_committed(DRIFT_SCORE.labels(window.model, name).set, verdict.shifts[0].value)
    yield verdict


def _answer_counts(version: ModelVersion, answers: NDArray[Any]) -> tuple[int, ...]:
    """The reference's answers, in the bins of the version's."""
    if version.task == "multiclass":
        return tuple(int((answers == name).sum()) for name in version.classes)
    known = answers[~np.isnan(answers)]
    if version.task == "regression":
        bins = np.searchsorted(version.answer_edges, known, side="right")
        return tuple(np.bincount(bins, minlength=len(version.answer_edges) + 1).tolist())
    bins = np.clip((known * SCORE_BINS).astype(int), 0, SCORE_BINS - 1)
    return tuple(np.bincount(bins, minlength=SCORE_BINS).tolist())


def _who(window: Window) -> tuple[str, str]:
    return window.model, window.version


def _report_name(window: Window) -> str:
    start, end = moment(window.start), moment(window.end)
    return f"{window.model}/{window.version}/{start:%Y%m%dT%H%M%S}-{end:%Y%m%dT%H%M%S}"
