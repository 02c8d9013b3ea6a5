"""The table of services in the README is what the catalog of events says."""

from pathlib import Path
from types import ModuleType

import pytest
from tests.architecture.test_metrics import load

from event_schemas.catalog import OUTSIDE, Route

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    return load(ROOT / "docs" / "services.py", "docs_services")


def test_the_table_in_the_readme_is_current(docs: ModuleType) -> None:
    assert docs.main(["--check"]) == 0


def test_an_event_stands_with_whoever_reads_and_whoever_sends_it(docs: ModuleType) -> None:
    routes = {"a.made": Route(("one", OUTSIDE), ("two",)), "b.made": Route(("two",), ("two",))}
    rows = docs.table({"one": "Begins.", "two": "Ends."}, routes).splitlines()
    assert rows[2:] == [
        "| [one](services/one) |  | `a.made` |",
        "| [two](services/two) | `a.made`, `b.made` | `b.made` |",
    ]


def test_a_table_that_was_edited_by_hand_is_stale_until_it_is_written_again(
    docs: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{docs.BEGIN}by hand\n{docs.END}after\n")
    monkeypatch.setattr(docs, "README", readme)
    assert docs.main(["--check"]) == 1
    assert "README.md: stale; run make generate" in capsys.readouterr().err
    assert "by hand" in readme.read_text()
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    assert readme.read_text().startswith(f"before\n{docs.BEGIN}| service |")
    assert readme.read_text().endswith(f"{docs.END}after\n")


@pytest.mark.parametrize("page", ["no mark", "{begin}text", "text{end}"])
def test_a_page_without_its_marks_is_refused(docs: ModuleType, page: str) -> None:
    with pytest.raises(ValueError, match="lost its marks"):
        docs.filled(page.format(begin=docs.BEGIN, end=docs.END), "new")
