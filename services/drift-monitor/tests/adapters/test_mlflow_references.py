"""References, read by MLflow from a local folder."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drift_monitor.adapters.mlflow_references import MlflowReferences
from drift_monitor.domain.columns import Column
from drift_monitor.ports import BadReferenceError
from servicekit.errors import UnavailableError

pytestmark = pytest.mark.integration

COLUMNS = [
    Column("distance", True),
    Column("carrier", False),
    Column("absent", True),
    Column("score", True),
]


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.parquet"
    table = {
        "distance": pa.array([1.0, None], pa.float32()),
        "carrier": ["UA", None],
        "label": [0, 1],
        "score": [0.2, 0.8],
    }
    pq.write_table(pa.table(table), path)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_columns_of_the_version_and_the_scores_are_read(reference, tmp_path):
    loaded = MlflowReferences(str(tmp_path)).load(reference.as_uri(), digest(reference), COLUMNS)
    assert sorted(loaded) == ["carrier", "distance", "score"]
    assert np.isnan(loaded["distance"][1])
    assert loaded["carrier"].tolist() == ["UA", ""]
    assert loaded["score"].tolist() == [0.2, 0.8]


def test_a_reference_is_downloaded_once(reference, tmp_path):
    references, name = MlflowReferences(str(tmp_path)), digest(reference)
    references.load(reference.as_uri(), name, COLUMNS)
    reference.unlink()
    assert references.load(reference.as_uri(), name, COLUMNS)


def test_another_file_than_the_one_named_is_refused(reference, tmp_path):
    with pytest.raises(BadReferenceError, match=r"and 0000.* was announced"):
        MlflowReferences(str(tmp_path)).load(reference.as_uri(), "0" * 64, COLUMNS)


def test_a_file_that_is_gone_is_no_outage(tmp_path):
    with pytest.raises(BadReferenceError):
        MlflowReferences(str(tmp_path)).load(
            (tmp_path / "gone.parquet").as_uri(), "0" * 64, COLUMNS
        )


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_text("no parquet")
    with pytest.raises(BadReferenceError, match="no Parquet"):
        MlflowReferences(str(tmp_path)).load(path.as_uri(), digest(path), COLUMNS)


def test_a_server_that_does_not_answer_is_an_outage(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    references = MlflowReferences("http://127.0.0.1:1")
    references.warm_up()
    with pytest.raises(UnavailableError):
        references.load("mlflow-artifacts:/1/2/artifacts/reference.parquet", "0" * 64, COLUMNS)
