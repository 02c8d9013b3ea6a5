"""The contracts of a release, as git keeps them, against the present ones."""

import copy
import json
import subprocess

import pytest

from event_schemas import EVENTS
from event_schemas.generate.__main__ import main
from event_schemas.generate.json_schema import json_schema
from event_schemas.generate.release import compare, contracts_at, last_release

PRESENT = {event.type: json_schema(event) for event in EVENTS}


@pytest.fixture
def repository(tmp_path):
    """A checkout with git, whose one commit holds the present contracts; no tag yet."""

    def git(*arguments):
        command = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments)
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    def commit(contracts, tag=None):
        folder = tmp_path / "schemas/json"
        folder.mkdir(parents=True, exist_ok=True)
        for name, contract in contracts.items():
            version = contract["$id"].rpartition(":")[2]
            (folder / f"{name}.{version}.json").write_text(json.dumps(contract))
        git("add", ".")
        git("commit", "--allow-empty", "--no-verify", "--no-gpg-sign", "-qm", "contracts")
        if tag:
            git("tag", "--no-sign", tag)

    git("init", "-q")
    return tmp_path, commit


def changed(name, **fields):
    contract = copy.deepcopy(PRESENT[name])
    contract["properties"] |= fields
    return PRESENT | {name: contract}


def test_without_a_release_there_is_nothing_to_compare_with(repository, capsys):
    root, commit = repository
    commit(PRESENT)

    assert main(["--root", str(root), "--against"]) == 0
    assert "no release yet" in capsys.readouterr().out


def test_the_newest_tag_is_the_last_release(repository):
    root, commit = repository
    commit(PRESENT, tag="v0.9.0")
    commit(PRESENT, tag="v0.10.0")

    assert last_release(root) == "v0.10.0"


def test_an_unchanged_contract_is_compatible_with_the_release(repository, capsys):
    root, commit = repository
    commit(PRESENT, tag="v0.1.0")

    assert main(["--root", str(root), "--against"]) == 0
    assert "compatible with v0.1.0" in capsys.readouterr().out


def test_a_field_that_the_release_had_and_we_have_not_is_refused(repository, capsys):
    root, commit = repository
    commit(changed("label.arrived", gone={"type": "string"}), tag="v0.1.0")

    assert main(["--root", str(root), "--against"]) == 1
    assert "breaks v0.1.0: label.arrived: gone: was removed" in capsys.readouterr().err


def test_of_several_versions_in_a_release_the_newest_counts(repository):
    root, commit = repository
    newer = copy.deepcopy(PRESENT["label.arrived"])
    newer["$id"] = newer["$id"].replace(":v1", ":v10")
    newer["properties"]["novel"] = {"type": "string"}
    commit(PRESENT | {"label.arrived": newer})
    commit(PRESENT)

    contracts = contracts_at(root, "HEAD", "schemas/json")

    assert contracts["label.arrived"]["$id"].endswith(":v10")
    assert set(contracts) == set(PRESENT)


def test_an_unknown_revision_is_named(repository, capsys):
    root, commit = repository
    commit(PRESENT)

    assert main(["--root", str(root), "--against", "v9.9.9"]) == 1
    assert "git knows no 'v9.9.9'" in capsys.readouterr().err


def test_a_revision_without_contracts_has_nothing_to_compare(repository, capsys):
    root, commit = repository
    commit({})

    assert main(["--root", str(root), "--against", "HEAD"]) == 0
    assert "holds no contracts" in capsys.readouterr().out


def test_an_event_that_is_gone_is_refused():
    released = PRESENT | {"model.praised": PRESENT["model.approved"]}

    refusals, _ = compare(released, PRESENT)

    assert refusals == ["model.praised: the event is gone: keep its model until no topic holds it"]


def test_a_new_field_asks_for_a_new_version():
    novel = changed("label.arrived", novel={"type": "string", "default": ""})

    refusals, notices = compare(PRESENT, novel)

    assert len(refusals) == 1
    assert "set schema_version to 2 and add its example" in refusals[0]
    assert notices == []

    novel["label.arrived"]["$id"] = novel["label.arrived"]["$id"].replace(":v1", ":v2")
    assert compare(PRESENT, novel) == ([], [])


def test_a_better_description_asks_for_nothing():
    reworded = changed("label.arrived")
    reworded["label.arrived"]["description"] = "Better."
    reworded["label.arrived"]["properties"]["model"]["description"] = "Better."

    assert compare(PRESENT, reworded) == ([], [])


def test_another_key_or_another_cleanup_is_refused():
    moved = copy.deepcopy(PRESENT)
    moved["label.arrived"] |= {"x-kafka-key": "model", "x-kafka-compacted": True}

    refusals, _ = compare(PRESENT, moved)

    assert [text.partition(" was ")[0] for text in refusals[:2]] == [
        "label.arrived: x-kafka-key",
        "label.arrived: x-kafka-compacted",
    ]


def test_a_wider_contract_asks_to_upgrade_the_readers_first():
    wider = changed(
        "label.arrived",
        label={
            "anyOf": [*PRESENT["label.arrived"]["properties"]["label"]["anyOf"], {"type": "null"}]
        },
    )
    wider["label.arrived"]["$id"] = wider["label.arrived"]["$id"].replace(":v1", ":v2")

    refusals, notices = compare(PRESENT, wider)

    assert refusals == []
    assert notices == [
        "label.arrived: for readers of version 1: label: null is not accepted:"
        " upgrade the readers before the writers"
    ]


def test_check_names_what_is_stale_and_the_command_to_run(root, tmp_path, capsys):
    folder = tmp_path / "schemas/examples"
    folder.mkdir(parents=True)
    for file in (root / "schemas/examples").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())

    assert main(["--root", str(tmp_path), "--check"]) == 1
    assert "stale: docs/events.md\nrun: make generate\n" in capsys.readouterr().err
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--root", str(tmp_path), "--check"]) == 0
