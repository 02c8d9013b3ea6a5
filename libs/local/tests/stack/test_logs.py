"""The end of a log, what comes after it, and what belongs to this run."""

from itertools import islice
from pathlib import Path

import pytest

from local.stack import logs


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_the_last_lines_are_the_last_lines(tmp_path: Path, count: int) -> None:
    lines = [f"{number} " + "x" * 400 for number in range(400)]
    log = tmp_path / "a.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    assert logs.last_lines(log, count) == lines[-count:]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert logs.last_lines(tmp_path / "none.log", 5) == []


def test_lines_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    logs.mark_start(log)
    assert logs.since_start(log) == []
    with log.open("a") as file:
        file.write("new\n")
    assert logs.since_start(log) == ["new"]


def test_following_goes_on_in_the_new_file_after_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("before\n")
    tail = logs.Tail(log)
    with log.open("a") as file:
        file.write("one\nhal")
    assert tail.new_lines() == ["one"]
    with log.open("a") as file:
        file.write("f\n")
    log.replace(tmp_path / "a.log.1")
    log.write_text("two\n")
    assert tail.new_lines() == ["half", "two"]
    tail.close()


def test_a_log_that_appears_later_is_followed_from_its_beginning(tmp_path: Path) -> None:
    tail = logs.Tail(tmp_path / "late.log")
    assert tail.new_lines() == []
    (tmp_path / "late.log").write_text("first\n")
    assert tail.new_lines() == ["first"]
    tail.close()


def test_several_logs_are_followed_together(tmp_path: Path) -> None:
    paths = {name: tmp_path / f"{name}.log" for name in "ab"}
    lines = logs.follow(paths, poll=0)
    paths["a"].write_text("from a\n")
    paths["b"].write_text("from b\n")
    assert list(islice(lines, 2)) == [("a", "from a"), ("b", "from b")]
    lines.close()
