"""What the pages for people name is there: other pages, files, and the tests of promises."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "*/*.md", "docs/*/*.md", "libs/*/*.md", "services/*/*.md")
    for path in ROOT.glob(pattern)
)
READMES = [path for path in PAGES if path.parents[1].name in ("libs", "services")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def links(text: str) -> list[str]:
    """What a page links to inside of the repository, without the anchors."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [link for link in found if not link.startswith(("http:", "https:", "mailto:"))]


def code(text: str) -> set[str]:
    """The modules and folders that a page names, such as `domain/errors.py` and `serving/`."""
    return set(re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.py)?)`", text))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert [each for each in links(page.read_text()) if not (page.parent / each).exists()] == []


@pytest.mark.parametrize("readme", READMES, ids=name)
def test_a_readme_names_files_that_are_there(readme: Path) -> None:
    (package,) = [path for path in (readme.parent / "src").iterdir() if path.is_dir()]
    folders = (ROOT, readme.parent, package)
    lost = {
        each for each in code(readme.read_text()) if not any((f / each).exists() for f in folders)
    }
    assert lost == set()


def test_every_test_that_a_page_names_is_there() -> None:
    files = (
        p for f in ("schemas", "libs", "services", "tests") for p in (ROOT / f).rglob("test_*.py")
    )
    there = {each for path in files for each in re.findall(r"def (test_\w+)", path.read_text())}
    named = {(each, name(p)) for p in PAGES for each in re.findall(r"`(test_\w+)`", p.read_text())}
    assert named
    assert {(each, page) for each, page in named if each not in there} == set()


def test_links_and_files_are_found_in_a_text() -> None:
    text = "[a](b/c.md#d) [e](https://f) `g/h.py` `i/` `GET /x` `j.k`, ![l](m.png)"
    assert links(text) == ["b/c.md", "m.png"]
    assert code(text) == {"g/h.py", "i/"}
