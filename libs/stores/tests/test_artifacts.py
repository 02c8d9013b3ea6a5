"""An artifact lies in the configured MLflow, or is not asked for."""

from pathlib import Path

import pytest

from stores.artifacts import ArtifactError, InRun, OnServer, place_of

SERVER = "https://mlflow.example:8443/base"


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("runs:/0a1b/model.onnx", InRun("0a1b", "model.onnx")),
        ("runs:/0a1b/folder/model.onnx", InRun("0a1b", "folder/model.onnx")),
        ("mlflow-artifacts:/1/0a1b/artifacts/model.onnx", OnServer("1/0a1b/artifacts/model.onnx")),
        ("mlflow-artifacts:///1/model.onnx", OnServer("1/model.onnx")),
        ("mlflow-artifacts:////evil.example/model.onnx", OnServer("evil.example/model.onnx")),
        ("mlflow-artifacts://mlflow.example:8443/1/m.onnx", OnServer("1/m.onnx")),
        ("mlflow-artifacts://MLFLOW.example:8443/1/m.onnx", OnServer("1/m.onnx")),
        (f"{SERVER}/api/2.0/mlflow-artifacts/artifacts/1/m.onnx", OnServer("1/m.onnx")),
    ],
)
def test_fault_1_1_what_the_configured_server_gives_is_taken(uri: str, place: object) -> None:
    assert place_of(SERVER, uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts://evil.example/1/model.onnx",
        "mlflow-artifacts://evil.example:8443/1/model.onnx",
        "mlflow-artifacts://mlflow.example/1/model.onnx",
        "mlflow-artifacts://mlflow.example:8443@evil.example/1/model.onnx",
        "mlflow-artifacts://user:word@mlflow.example:8443/1/model.onnx",
        "mlflow-artifacts://mlflow.example:no/1/model.onnx",
        "mlflow-artifacts:/../../2.0/mlflow/runs/get",
        "mlflow-artifacts:/1/%2e%2e/%2e%2e/secret",
        "mlflow-artifacts:/1/model.onnx?presigned=1",
        "mlflow-artifacts:/1/model.onnx#part",
        "mlflow-artifacts:/1/back\\slash",
        "mlflow-artifacts:/",
        "http://mlflow.example:8443/base/api/2.0/mlflow-artifacts/artifacts/1/model.onnx",
        "https://mlflow.example:8443/base/api/2.0/mlflow/runs/get",
        "https://mlflow.example:8443/base/api/2.0/mlflow-artifacts/artifacts/",
        "https://evil.example/base/api/2.0/mlflow-artifacts/artifacts/1/model.onnx",
        "file:///etc/passwd",
        "/etc/passwd",
        "model.onnx",
        "",
        "ftp://evil.example/model.onnx",
        "sftp://evil.example/model.onnx",
        "s3://bucket/model.onnx",
        "gs://bucket/model.onnx",
        "dbfs:/model.onnx",
        "hdfs://evil.example/model.onnx",
        "models:/flight_delay/1",
        "runs://databricks@evil/0a1b/model.onnx",
        "runs:/0a1b",
        "runs:/../model.onnx",
        "runs:/0a1b/../model.onnx",
        "mlflow-artifacts:/" + "a" * 3000,
    ],
)
def test_fault_1_1_every_other_host_scheme_and_path_is_refused(uri: str) -> None:
    with pytest.raises(ArtifactError, match=r"is not fetched: .*MLFLOW_TRACKING_URI") as caught:
        place_of(SERVER, uri)
    assert caught.value.reason == "address"


def test_fault_1_1_a_store_in_a_folder_gives_what_lies_in_that_folder(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    for folder in (store, outside):
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"weights")
    (store / "link").symlink_to(outside)
    inside = store / "model.onnx"
    for tracking_uri in (str(store), store.as_uri(), f"sqlite:///{store}/mlflow.db"):
        assert place_of(tracking_uri, str(inside)) == inside.resolve()
        assert place_of(tracking_uri, inside.as_uri()) == inside.resolve()
        assert place_of(tracking_uri, "runs:/0a1b/model.onnx") == InRun("0a1b", "model.onnx")
        for uri in (
            str(outside / "model.onnx"),
            (outside / "model.onnx").as_uri(),
            f"{store}/../outside/model.onnx",
            f"{store}/link/model.onnx",
            f"file://evil.example{inside}",
            "mlflow-artifacts:/1/model.onnx",
            "http://evil.example/model.onnx",
            f"{store}\0",
        ):
            with pytest.raises(ArtifactError, match="is not fetched"):
                place_of(tracking_uri, uri)
