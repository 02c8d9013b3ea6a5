"""Files in folders and in an object store are found in the same way."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from servicekit.errors import UnavailableError
from stores.storage import StorageUri, inside, is_there


def test_a_folder_becomes_absolute_and_a_prefix_stays(tmp_path: Path) -> None:
    assert inside("some/folder", "registry.db") == str(Path.cwd() / "some/folder/registry.db")
    assert inside(tmp_path, "registry.db") == f"{tmp_path}/registry.db"
    assert inside("s3://bucket/feast/", "registry.db") == "s3://bucket/feast/registry.db"


def test_an_unknown_store_is_refused_with_what_is_known() -> None:
    with pytest.raises(ValidationError, match=r"gs:// is not known: write a folder or s3://"):
        TypeAdapter(StorageUri).validate_python("gs://bucket/feast")


def test_a_file_in_a_folder_is_there_once_it_was_written(tmp_path: Path) -> None:
    address = inside(tmp_path, "registry.db")
    assert not is_there(address)
    (tmp_path / "registry.db").touch()
    assert is_there(address)


@pytest.mark.integration
def test_a_file_in_an_object_store_is_there_once_it_was_written(object_store: str) -> None:
    import boto3

    assert not is_there(f"{object_store}/registry.db")
    assert not is_there("s3://another-bucket/registry.db")
    bucket = object_store.removeprefix("s3://")
    boto3.client("s3").put_object(Bucket=bucket, Key="registry.db", Body=b"")  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert is_there(f"{object_store}/registry.db")


@pytest.mark.integration
def test_an_object_store_that_is_away_is_an_outage(
    object_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UnavailableError, match=r"registry\.db"):
        is_there(f"{object_store}/registry.db")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a[b", "a%41", "*"])
def test_fault_6_14_a_folder_that_an_address_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="give a folder without"):
        TypeAdapter(StorageUri).validate_python(f"/data/{name}/lake")
    prefix = f"s3://bucket/{name}"
    assert TypeAdapter(StorageUri).validate_python(prefix) == prefix, "it is an address already"


@pytest.mark.parametrize("name", ["with space", "ümlaut", "a+b&c=d@e", "a:b;c,d", "100% home"])
def test_any_other_folder_is_taken(name: str) -> None:
    assert TypeAdapter(StorageUri).validate_python(f"/data/{name}") == f"/data/{name}"
