from pathlib import Path

import pytest

from predictor.adapters.journal.spool import slots
from predictor.adapters.journal.spool.slots import SpoolUnusableError, free_slots, take_slot


def test_each_takes_the_first_slot_that_nobody_holds(tmp_path: Path) -> None:
    first, second = take_slot(tmp_path), take_slot(tmp_path)
    assert [first.path, second.path] == [tmp_path / "0", tmp_path / "1"]
    first.close()
    third = take_slot(tmp_path)
    assert third.path == tmp_path / "0"
    second.close()
    third.close()


def test_slots_that_nobody_holds_are_found_and_locked_until_the_next(tmp_path: Path) -> None:
    held, *left = [take_slot(tmp_path) for _ in range(3)]
    for each in left:
        each.close()
    (tmp_path / "lost+found").mkdir()
    found = free_slots(tmp_path)
    assert next(found).path == tmp_path / "1"
    other = take_slot(tmp_path)
    assert other.path == tmp_path / "2", "1 is locked while it is looked at"
    assert list(found) == []
    again = take_slot(tmp_path)
    assert again.path == tmp_path / "1"
    for each in (held, other, again):
        each.close()


def test_nobody_else_may_read_a_slot(tmp_path: Path) -> None:
    slot = take_slot(tmp_path)
    assert slot.path.stat().st_mode & 0o777 == 0o700
    slot.close()


def test_a_folder_whose_slots_are_all_held_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "MAX_SLOTS", 1)
    slot = take_slot(tmp_path)
    with pytest.raises(SpoolUnusableError, match="1 processes hold all of its slots"):
        take_slot(tmp_path)
    slot.close()


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusableError, match=r"SPOOL_DIR=.*or set ANSWER_AFTER=brokers"):
        take_slot(tmp_path / "file")
