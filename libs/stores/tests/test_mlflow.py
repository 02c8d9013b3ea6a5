"""Files by their digest, whoever keeps them, and what is final when there is none."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from servicekit.errors import UnavailableError
from stores.mlflow import ArtifactError, download, fetch, set_up, sha256_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # MLflow and what it imports warn about themselves.
]

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights")
    return path


def test_a_file_is_downloaded_once_and_stays_where_it_lay(file: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    kept = fetch(NOWHERE, str(file), digest, tmp_path / "cache")
    assert kept == tmp_path / "cache" / f"{digest}.onnx"
    assert file.exists()
    file.unlink()
    assert fetch(NOWHERE, str(file), digest, tmp_path / "cache").read_bytes() == b"weights"


def test_a_file_with_another_digest_is_not_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has SHA-256 \w+, and 0000") as caught:
        fetch(NOWHERE, str(file), "0" * 64, tmp_path / "cache")
    assert caught.value.reason == "sha256"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_kept_file_that_was_changed_is_downloaded_again(file: Path, tmp_path: Path) -> None:
    kept = fetch(NOWHERE, str(file), sha256_of(file), tmp_path / "cache")
    kept.write_bytes(b"tampered")
    assert fetch(NOWHERE, str(file), sha256_of(file), tmp_path / "cache").read_bytes() == b"weights"


def _mlflow(code: str) -> Exception:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import ErrorCode

    return MlflowException("no", error_code=ErrorCode.Value(code))


def _http(status: int) -> Exception:
    import requests

    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("no", response=response)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (lambda: _mlflow("RESOURCE_DOES_NOT_EXIST"), True),
        (lambda: _mlflow("NOT_FOUND"), True),
        (lambda: _mlflow("INVALID_PARAMETER_VALUE"), True),
        (lambda: _mlflow("PERMISSION_DENIED"), True),
        (lambda: _mlflow("INTERNAL_ERROR"), False),
        (lambda: _mlflow("TEMPORARILY_UNAVAILABLE"), False),
        (lambda: _http(404), True),
        (lambda: _http(400), True),
        (lambda: _http(503), False),
        (lambda: FileNotFoundError("no"), True),
        (lambda: ConnectionError("no"), False),
    ],
)
def test_what_the_server_refuses_is_final_and_everything_else_an_outage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Any, final: bool
) -> None:
    import mlflow.artifacts

    def refused(**_: Any) -> None:
        raise error()

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", refused)
    with pytest.raises(ArtifactError if final else UnavailableError, match="cannot be downloaded"):
        download(NOWHERE, "runs:/1/model.onnx", tmp_path)


def test_no_pickle_is_read_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    set_up(timeout_seconds=0.2)
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"
