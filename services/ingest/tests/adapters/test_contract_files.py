"""Contracts that change while ingest runs."""

from pathlib import Path

import pytest

from ingest.adapters.contract_files import ContractFiles

ONE = "dataset: d\ncolumns: {a: {type: number}}\n"
TWO = "dataset: d\ncolumns: {a: {type: number}, b: {type: string}}\n"
FED = "dataset: fed\nfeature_view: v\ncolumns: {a: {type: number}, b: {type: string}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "m" / "datasets"
    made.mkdir(parents=True)
    (made / "d.yaml").write_text(ONE)
    (made / "fed.yaml").write_text(FED)
    return made


@pytest.fixture
def told() -> list[list[str]]:
    return []


@pytest.fixture
def contracts(tmp_path: Path, folder: Path, told: list[list[str]]) -> ContractFiles:
    return ContractFiles(tmp_path, lambda problems: told.append(list(problems)))


def test_fault_4_7_a_contract_counts_as_its_file_is_now(
    contracts: ContractFiles, folder: Path, told: list[list[str]]
) -> None:
    assert contracts["d"].names == {"a"}
    (folder / "d.yaml").write_text(TWO)
    assert contracts["d"].names == {"a", "b"}
    (folder / "e.yaml").write_text(ONE.replace("dataset: d", "dataset: e"))
    assert set(contracts) == {"d", "e", "fed"}
    (folder / "e.yaml").unlink()
    assert len(contracts) == 2
    assert told == [[]] * 4, "told once a change"


@pytest.mark.parametrize("text", ["dataset: [", "dataset: d\n", "dataset: d\ncolumns: {a: {}}\n"])
def test_fault_4_7_a_broken_edit_changes_nothing_and_is_told(
    contracts: ContractFiles, folder: Path, told: list[list[str]], text: str
) -> None:
    (folder / "d.yaml").write_text(text)
    assert contracts["d"].names == {"a"}
    assert len(contracts) == 2
    assert [len(problems) for problems in told] == [0, 1]
    (folder / "d.yaml").write_text(TWO)
    assert contracts["d"].names == {"a", "b"}
    assert told[-1] == []


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("d", ONE.replace("number", "string"), "columns.a.type is string and was number"),
        ("d", ONE.replace("columns", "feature_view: v\ncolumns"), "restart ingest"),
        ("fed", FED.replace("view: v", "view: w"), "feature_view is 'w' and was 'v'"),
        ("fed", FED.replace(", b: {type: string}", ""), "columns lack b, which v may need"),
        ("new", FED.replace("fed", "new"), "feature_view is 'v' and was None"),
    ],
)
def test_fault_4_7_what_only_a_start_can_bring_about_waits_for_it(
    contracts: ContractFiles, folder: Path, told: list[list[str]], name: str, text: str, why: str
) -> None:
    before = dict(contracts)
    (folder / f"{name}.yaml").write_text(text)
    assert dict(contracts) == before
    ((problem,),) = told[1:]
    assert why in problem
    assert set(ContractFiles(folder.parents[1])) == {*before, name}


def test_fault_4_7_a_column_keeps_its_type_though_its_file_was_away(
    contracts: ContractFiles, folder: Path, told: list[list[str]]
) -> None:
    (folder / "d.yaml").unlink()
    assert "d" not in contracts
    (folder / "d.yaml").write_text(ONE.replace("number", "string"))
    assert contracts["d"].columns[0].kind == "number"
    assert "give it the old type" in told[-1][0]
