"""The map in docs/architecture.md sends nobody to a place that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "architecture.md").read_text()
_, _, MAP = PAGE.partition("\n## To change X, look in Y\n")
ROWS = re.findall(r"^\| (?!to change)([^|]+) \| (.+?) \| .+ \|$", MAP.partition("\n## ")[0], re.M)
MOST_FILES = 40
"""Of a folder that is still a room, and not a building."""


def test_the_map_has_a_row_for_each_change_that_people_ask_for() -> None:
    assert len(ROWS) >= 25
    assert len({change for change, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("change", "room"), ROWS)
def test_a_change_is_made_in_one_room_that_exists(change: str, room: str) -> None:
    match = re.fullmatch(r"\[`(.+)`\]\((.+)\)", room)
    assert match, f"{change}: one link, named by its path"
    label, link = match.groups()
    path = (DOCS / link).resolve()
    assert path.exists(), f"{change}: {link} is not there"
    assert path.as_posix().endswith(label)
    assert len([f for f in path.rglob("*.*") if f.suffix != ".pyc"]) <= MOST_FILES


def test_rooms_of_the_predictor_are_where_the_page_says() -> None:
    predictor = ROOT / "services/predictor/src/predictor"
    table = PAGE.partition("| in the predictor | is |")[2].partition("\n\n")[0]
    rooms = [name for row in table.splitlines() for name in re.findall(r"`([\w./]+)`", row)]
    rooms = [name for name in rooms if "/" in name]
    assert rooms
    assert [name for name in rooms if not (predictor / name).exists()] == []
