from pathlib import Path

import pytest

from ingest.adapters.dataset_yaml import ContractError, load_contracts, read_contract

GOOD = "dataset: d\ncolumns:\n  - {name: a, type: number, min: 0, max: 1}\n"


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str, model: str = "m", name: str = "d") -> Path:
        folder = tmp_path / model / "datasets"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
        return folder / f"{name}.yaml"

    return write


def test_columns_are_a_list_or_a_mapping_by_name(written):
    listed = read_contract(written(GOOD))
    mapped = read_contract(
        written("dataset: d\ncolumns: {a: {type: number, minimum: 0, maximum: 1.0}}")
    )
    assert listed.columns == mapped.columns
    assert listed.version == mapped.version
    assert listed.unknown_columns == "refuse"


def test_the_version_follows_the_rules_and_not_the_words(written):
    before = read_contract(written(GOOD)).version
    assert read_contract(written(GOOD + "description: words\n")).version == before
    assert read_contract(written(GOOD.replace("max: 1", "max: 2"))).version != before
    assert read_contract(written(GOOD + "unknown_columns: drop\n")).version != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file: None"),
        ("a: [", "no YAML"),
        ("dataset: D\ncolumns: {a: {type: number}}", "dataset: 'D'"),
        ("dataset: quarantine\ncolumns: {a: {type: number}}", "dataset: 'quarantine'"),
        ("dataset: d", "columns: None"),
        ("dataset: d\ncolumns: []", r"columns: \[\]"),
        ("dataset: d\ncolumns: {a: number}", "columns.a: 'number'"),
        ("dataset: d\ncolumns: {a: {type: float}}", "columns.a.type: 'float': choose one of"),
        ("dataset: d\ncolumns: {a: {type: number, requird: true}}", "columns.a.requird"),
        ("dataset: d\ncolumns: {a: {type: number, required: 1}}", "columns.a.required"),
        ("dataset: d\ncolumns: {a: {type: number, min: 2, max: 1}}", "above the maximum"),
        ("dataset: d\ncolumns: {a: {type: number, min: low}}", "columns.a.minimum: 'low'"),
        ("dataset: d\ncolumns: {a: {type: string, min: 1}}", "columns.a.minimum: 1: only"),
        ("dataset: d\ncolumns: {a: {type: string, allowed: []}}", "columns.a.allowed"),
        ("dataset: d\ncolumns: {a: {type: string, allowed: [NO]}}", "quote text"),
        ("dataset: d\ncolumns: {entity: {type: string}}", "every table has this column"),
        ("dataset: d\ncolumns: {a: {type: string}, A: {type: string}}", "the name is taken"),
        ("dataset: d\nentity: b\ncolumns: {a: {type: string}}", "entity: 'b'"),
        ("dataset: d\nevent_time: a\ncolumns: {a: {type: string}}", "event_time: 'a'"),
        ("dataset: d\nunknown_columns: keep\ncolumns: {a: {type: string}}", "refuse or drop"),
        ("dataset: d\nfeature_view: 3\ncolumns: {a: {type: string}}", "feature_view: 3"),
        ("dataset: d\ncolums: {}", "colums: "),
    ],
)
def test_an_error_names_file_field_value_and_remedy(written, text, message):
    path = written(text)
    with pytest.raises(ContractError, match=message) as error:
        read_contract(path)
    assert str(path) in str(error.value)


def test_two_models_may_share_a_dataset_and_of_two_contracts_the_first_counts(written, tmp_path):
    first = written(GOOD, "one")
    written(GOOD, "two")
    assert load_contracts(tmp_path)[0].keys() == {"d"}
    assert load_contracts(tmp_path)[1] == []
    written(GOOD.replace("number", "integer"), "two")
    contracts, [problem] = load_contracts(tmp_path)
    assert contracts["d"] == read_contract(first)
    assert "described differently" in problem


def test_fault_3_7_a_contract_that_is_wrong_costs_its_own_dataset(written, tmp_path):
    written(GOOD, "one")
    wrong = written("dataset: e\ncolumns: 7\n", "two")
    contracts, [problem] = load_contracts(tmp_path)
    assert contracts.keys() == {"d"}
    assert str(wrong) in problem


def test_the_contracts_of_the_example_can_be_read():
    models = Path(__file__).parents[4] / "models"
    contracts, problems = load_contracts(models)
    assert {"flights", "weather"} <= contracts.keys()
    assert problems == []


@pytest.mark.parametrize(
    "text",
    [
        "dataset: e\ncolumns: {t: {type: timestamp, min: 2024-13-45}}\n",
        "[" * 3000,
        "? [a, b]\n: 1\n",
    ],
    ids=["no date", "too deep", "no key"],
)
def test_fault_3_7_whatever_yaml_fails_on_costs_its_own_dataset(written, tmp_path, text):
    written(GOOD, "one")
    wrong = written(text, "two")
    contracts, [problem] = load_contracts(tmp_path)
    assert contracts.keys() == {"d"}
    assert f"{wrong}: no YAML" in problem


def test_fault_3_7_a_contract_that_cannot_be_opened_costs_its_own_dataset(written, tmp_path):
    wrong = written(GOOD, "one").with_name("folder.yaml")
    wrong.mkdir()
    contracts, [problem] = load_contracts(tmp_path)
    assert contracts.keys() == {"d"}
    assert f"{wrong}: cannot be read" in problem
