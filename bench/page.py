"""The part of a Markdown page that a benchmark writes."""

from pathlib import Path


def fill(page: Path, begin: str, end: str, text: str) -> None:
    """Put a text between two marks of a page.

    Raises:
        SystemExit: the page has lost a mark; nothing is written.
    """
    before, first, rest = page.read_text(encoding="utf-8").partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise SystemExit(f"{page} has lost its marks {begin} and {end}: put them back")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
