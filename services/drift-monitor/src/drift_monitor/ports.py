"""What the drift monitor needs of the world outside Kafka."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from drift_monitor.domain.columns import Column, Columns


class BadReferenceError(Exception):
    """A reference that will never be readable: gone, or not the file that the version names."""


class ReportFailedError(Exception):
    """The drift report of these columns cannot be computed."""


class References(Protocol):
    """Holds the sample of rows that each version was validated on."""

    def warm_up(self) -> None:
        """Import what is slow to import."""
        ...

    def load(self, uri: str, sha256: str, columns: Sequence[Column]) -> Columns:
        """Those of the columns that a reference has.

        Raises:
            UnavailableError: the store does not answer now.
            BadReferenceError: it never will: the file is gone, damaged, or not the one named.
        """
        ...


class DriftReport(Protocol):
    """One comparison of a window with its reference."""

    statistic: str
    """Name of the statistic."""
    values: Mapping[str, float]
    """The statistic of each column that could be compared."""
    failed: Mapping[str, str]
    """Why each of the others could not be."""

    def save(self, name: str, *, html: bool) -> str:
        """Keep the report under a name, as a page for people too if asked; returns its URI.

        The same name replaces the report.

        Raises:
            OSError: it could not be written.
            ReportFailedError: the page could not be drawn; the numbers are kept.
        """
        ...


class DriftReports(Protocol):
    """Compares columns."""

    def warm_up(self) -> None:
        """Import what is slow to import."""
        ...

    def compare(
        self,
        columns: Sequence[Column],
        reference: Columns,
        current: Columns,
        thresholds: Mapping[str, float],
    ) -> DriftReport:
        """The Jensen-Shannon distance of every column; each holds values on both sides.

        Raises:
            ReportFailedError: no column could be compared.
        """
        ...
