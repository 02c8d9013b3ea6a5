"""Where a person says that a service is to go on reading."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.start import Start

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("2026-11-25T06:00:00Z", datetime(2026, 11, 25, 6, tzinfo=UTC)),
        ("2026-11-25T07:00:00+01:00", datetime(2026, 11, 25, 6, tzinfo=UTC)),
        ("PT6H", datetime(2026, 11, 25, 6, tzinfo=UTC)),
        ("P1DT30M", datetime(2026, 11, 24, 11, 30, tzinfo=UTC)),
    ],
)
def test_the_ends_moments_and_how_long_ago_are_understood(text: str, at: object) -> None:
    assert Start.parse(text, NOW).at == at


@pytest.mark.parametrize("text", ["", "Earliest", "yesterday", "PT6", "12", "2026-13-01T00:00Z"])
def test_anything_else_is_refused_with_what_could_be_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"no place to read from: say earliest, latest, a moment"):
        Start.parse(text, NOW)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no zone: say 2026-11-25T06:00:00Z if it is UTC"):
        Start.parse("2026-11-25T06:00:00", NOW)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20_000)))
def test_how_long_ago_is_counted_back_from_now(ago: timedelta) -> None:
    text = f"P{ago.days}DT{ago.seconds}S"
    whole = timedelta(days=ago.days, seconds=ago.seconds)
    start = Start.parse(text, NOW)
    assert start.at == NOW - whole
    assert start.milliseconds == int((NOW - whole).timestamp() * 1000)
