from pathlib import Path

import pytest
from bench import page


def test_only_what_stands_between_the_marks_is_written_anew(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<a>\nold\n</a>\nafter\n")
    page.fill(document, "<a>", "</a>", "new")
    assert document.read_text() == "before\n<a>\nnew\n</a>\nafter\n"


@pytest.mark.parametrize("text", ["before <a> after", "before </a> after", "</a> <a>", ""])
def test_a_page_without_its_marks_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    document = tmp_path / "page.md"
    document.write_text(text)
    with pytest.raises(SystemExit, match=r"lost its marks <a> and </a>"):
        page.fill(document, "<a>", "</a>", "new")
    assert document.read_text() == text
