"""A part that ends again and again is given up; one that ends now and then is not."""

from pathlib import Path
from types import SimpleNamespace

from local.stack.restarts import MOST_STARTS, WINDOW, allow_start, gave_up, times


def starts(folder: Path, *seconds: float) -> Path:
    file = folder / "part.starts"
    file.write_text("".join(f"{second}\n" for second in seconds))
    return file


def test_a_part_that_was_never_started_may_start(tmp_path: Path) -> None:
    assert not gave_up(tmp_path / "none", now=0.0)


def test_the_last_start_within_the_window_is_allowed_and_the_next_is_not(tmp_path: Path) -> None:
    assert not gave_up(starts(tmp_path, *range(MOST_STARTS - 1)), now=10.0)
    assert gave_up(starts(tmp_path, *range(MOST_STARTS)), now=10.0)


def test_starts_of_long_ago_are_forgotten(tmp_path: Path) -> None:
    old = starts(tmp_path, *range(MOST_STARTS))
    assert not gave_up(old, now=WINDOW)
    assert gave_up(old, now=WINDOW - 0.001)


def test_the_hook_counts_starts_until_it_refuses_one(tmp_path: Path) -> None:
    file = tmp_path / "part.starts"
    watcher = SimpleNamespace(name="part", options=lambda: [("starts_file", str(file))])
    assert [allow_start(watcher) for _ in range(MOST_STARTS + 1)] == [True] * MOST_STARTS + [False]
    assert len(times(file)) == MOST_STARTS
