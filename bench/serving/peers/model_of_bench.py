"""The model as a function of an array of rows: with scikit-learn, or with ONNX Runtime."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np


def load() -> Callable[[np.ndarray], np.ndarray]:
    """What RUNTIME asks for; gives the probability of class 1 of each row."""
    folder = Path(os.environ["MODEL_FOLDER"])
    if os.environ["RUNTIME"] == "sklearn":
        with (folder / "model.pickle").open("rb") as file:
            trees = pickle.load(file)
        return lambda x: trees.predict_proba(x)[:, 1]

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    output = [session.get_outputs()[-1].name]
    names = [each.name for each in session.get_inputs()]

    def scores(x: np.ndarray) -> np.ndarray:
        x = x.astype(np.float32, copy=False)
        feed = {name: np.ascontiguousarray(x[:, i : i + 1]) for i, name in enumerate(names)}
        return session.run(output, feed)[0][:, 1]

    return scores
