"""Two ways to score a table without Tailrace: `by_hand.py floor | pandas FOLDER INPUT OUTPUT`."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

NUMBERS = [f"n{i}" for i in range(12)]
SCHEMA = pa.schema([("row_id", pa.string()), ("probability", pa.float64())])
BATCH_ROWS = 10_000


def floor(folder: Path, source: str, target: str) -> None:
    """Columns through ONNX Runtime, a batch at a time: no checks, no ids, no errors."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession((folder / "model.onnx").read_bytes(), options)
    output = [session.get_outputs()[-1].name]
    dataset: Any = DeltaTable(source).to_pyarrow_dataset()

    def scored() -> Iterator[pa.RecordBatch]:
        for batch in dataset.to_batches(columns=["event_id", *NUMBERS], batch_size=BATCH_ROWS):
            feed = {
                name: batch.column(name).to_numpy().astype("float32").reshape(-1, 1)
                for name in NUMBERS
            }
            (probabilities,) = session.run(output, feed)
            columns = [batch.column("event_id"), pa.array(probabilities[:, 1], pa.float64())]
            yield pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    write_deltalake(target, pa.RecordBatchReader.from_batches(SCHEMA, scored()))


def pandas(folder: Path, source: str, target: str) -> None:
    """The whole table as a frame, through scikit-learn."""
    with (folder / "model.pickle").open("rb") as file:
        trees = pickle.load(file)
    frame = DeltaTable(source).to_pandas(columns=["event_id", *NUMBERS])
    probabilities = trees.predict_proba(frame[NUMBERS].to_numpy("float32"))[:, 1]
    columns = [pa.array(frame["event_id"], pa.string()), pa.array(probabilities)]
    write_deltalake(target, pa.Table.from_arrays(columns, schema=SCHEMA))


if __name__ == "__main__":
    way, folder, *tables = sys.argv[1:]
    {"floor": floor, "pandas": pandas}[way](Path(folder), *tables)
