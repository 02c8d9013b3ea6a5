"""What a person may choose about the demo."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailrace.demo.options import DemoOptions, OptionsError


def options(start: str, end: str, speed: float = 1.0) -> DemoOptions:
    def at(day: str) -> datetime:
        return datetime.fromisoformat(day).replace(tzinfo=UTC)

    return DemoOptions(at(start), at(end), speed, 0, Path("report"))


def test_half_way_is_the_middle_of_the_period() -> None:
    assert options("2013-02-01", "2013-02-11").half_way == datetime(2013, 2, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "speed", "named"),
    [
        ("2013-01-14", "2013-03-01", 1.0, "--from 2013-01-14"),
        ("2013-02-01", "2013-12-29", 1.0, "--to 2013-12-29"),
        ("2013-02-01", "2013-02-02", 1.0, "at least two days"),
        ("2013-02-01", "2013-03-01", 0.0, "--speed 0"),
    ],
)
def test_what_cannot_be_is_named_with_a_remedy(
    start: str, end: str, speed: float, named: str
) -> None:
    with pytest.raises(OptionsError, match=named):
        options(start, end, speed)


def test_the_edges_are_allowed() -> None:
    options("2013-01-15", "2013-12-28")
    options("2013-02-01", "2013-02-03")
