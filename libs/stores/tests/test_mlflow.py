"""Files by their digest, whoever keeps them, and what is final when there is none."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from servicekit.errors import UnavailableError
from stores.artifacts import ArtifactError, Limits
from stores.mlflow import download, fetch, set_up, sha256_of

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
    kept = fetch(str(tmp_path), str(file), digest, tmp_path / "cache")
    assert kept == tmp_path / "cache" / f"{digest}.onnx"
    assert file.exists()
    file.unlink()
    assert fetch(str(tmp_path), str(file), digest, tmp_path / "cache").read_bytes() == b"weights"


def test_a_file_with_another_digest_is_not_kept(file: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has SHA-256 \w+, and 0000") as caught:
        fetch(str(tmp_path), str(file), "0" * 64, tmp_path / "cache")
    assert caught.value.reason == "sha256"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_kept_file_that_was_changed_is_downloaded_again(file: Path, tmp_path: Path) -> None:
    kept = fetch(str(tmp_path), str(file), sha256_of(file), tmp_path / "cache")
    kept.write_bytes(b"tampered")
    assert (
        fetch(str(tmp_path), str(file), sha256_of(file), tmp_path / "cache").read_bytes()
        == b"weights"
    )


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
    import mlflow.utils.rest_utils

    def refused(*_: Any, **__: Any) -> None:
        raise error()

    monkeypatch.setattr(mlflow.utils.rest_utils, "http_request", refused)
    with pytest.raises(ArtifactError if final else UnavailableError, match="cannot be downloaded"):
        download(NOWHERE, "mlflow-artifacts:/1/model.onnx", tmp_path)


def test_no_pickle_is_read_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    set_up(timeout_seconds=0.2)
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "3"


class Server(ThreadingHTTPServer):
    """Answers every request alike, and keeps path and password of each."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str], body: bytes, drip: int) -> None:
        server, self.asked = self, []
        self.over = threading.Event()

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, self.headers.get("Authorization")))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for _ in range(drip):
                    self.wfile.write(b".")
                    if server.over.wait(0.01):
                        return
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, str | None]]
        self.uri = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(
    status: int = 200, headers: dict[str, str] | None = None, body: bytes = b"", drip: int = 0
) -> Iterator[Server]:
    server = Server(status, headers or {}, body, drip)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    set_up(timeout_seconds=5)


ARTIFACT = "mlflow-artifacts:/1/run/artifacts/model.onnx"


@pytest.mark.usefixtures("password")
def test_fault_1_1_the_configured_server_gets_the_password_and_no_other_a_request(
    tmp_path: Path,
) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    with serving(body=b"weights") as ours, serving(body=b"weights") as theirs:
        kept = fetch(ours.uri, ARTIFACT, digest, tmp_path)
        assert kept.read_bytes() == b"weights"
        ((path, authorization),) = ours.asked
        assert path == "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/model.onnx"
        assert authorization is not None
        assert authorization.startswith("Basic ")
        host = f"127.0.0.1:{theirs.server_port}"
        for uri in (f"mlflow-artifacts://{host}/1/model.onnx", f"http://{host}/model.onnx"):
            with pytest.raises(ArtifactError, match="is not fetched"):
                fetch(ours.uri, uri, "0" * 64, tmp_path)
        assert theirs.asked == []


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_fault_1_1_nobody_follows_a_redirect(tmp_path: Path, status: int) -> None:
    with (
        serving(body=b"weights") as theirs,
        serving(status, {"Location": f"{theirs.uri}/model.onnx"}) as ours,
    ):
        with pytest.raises(ArtifactError, match="nobody follows"):
            download(ours.uri, ARTIFACT, tmp_path)
        assert theirs.asked == []


@pytest.mark.usefixtures("password")
def test_fault_1_1_a_run_that_keeps_its_files_elsewhere_is_not_followed(tmp_path: Path) -> None:
    with serving(body=b"weights") as theirs:
        run = (
            '{"run": {"info": {"run_id": "0a1b", "status": "FINISHED",'
            f' "artifact_uri": "mlflow-artifacts://127.0.0.1:{theirs.server_port}/1"}}}}}}'
        )
        with (
            serving(body=run.encode()) as ours,
            pytest.raises(ArtifactError, match="names another host"),
        ):
            download(ours.uri, "runs:/0a1b/model.onnx", tmp_path)
        assert theirs.asked == []


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize("headers", [{"Content-Length": "11"}, {}], ids=["announced", "endless"])
def test_fault_1_1_a_file_has_as_many_bytes_as_are_allowed_and_no_more(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    with serving(headers=headers, body=b"11 of them!") as ours:
        assert download(ours.uri, ARTIFACT, tmp_path, Limits(max_bytes=11)).stat().st_size == 11
        with pytest.raises(ArtifactError, match="more bytes than MAX_ARTIFACT_BYTES=10") as caught:
            download(ours.uri, ARTIFACT, tmp_path, Limits(max_bytes=10))
    assert caught.value.reason == "too_large"


def test_fault_1_1_a_file_of_a_folder_is_bounded_too(file: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert download(str(tmp_path), str(file), scratch, Limits(max_bytes=7)).is_file()
    with pytest.raises(ArtifactError, match="MAX_ARTIFACT_BYTES=6"):
        download(str(tmp_path), str(file), scratch, Limits(max_bytes=6))


@pytest.mark.usefixtures("password")
def test_fault_1_1_a_server_that_drips_is_left_in_time(tmp_path: Path) -> None:
    with serving(drip=100_000) as ours, pytest.raises(UnavailableError, match="took longer"):
        download(ours.uri, ARTIFACT, tmp_path, Limits(seconds=0.1))


@pytest.mark.usefixtures("password")
@pytest.mark.parametrize(
    ("status", "final"), [(404, True), (410, True), (400, True), (401, False), (500, False)]
)
def test_fault_6_9_a_file_that_the_server_does_not_have_is_no_outage(
    tmp_path: Path, status: int, final: bool
) -> None:
    with (
        serving(status) as ours,
        pytest.raises(ArtifactError if final else UnavailableError, match=f"{status}"),
    ):
        download(ours.uri, ARTIFACT, tmp_path)


@pytest.mark.usefixtures("password")
def test_fault_6_9_a_run_that_the_server_does_not_have_is_no_outage(tmp_path: Path) -> None:
    body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no run"}'
    with serving(404, body=body) as ours, pytest.raises(ArtifactError, match="no run") as caught:
        download(ours.uri, "runs:/0a1b/model.onnx", tmp_path)
    assert caught.value.reason == "missing"
