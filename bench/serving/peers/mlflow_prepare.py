"""Saves the model in MLflow's format; run as `mlflow_prepare.py FOLDER RUNTIME`."""

import pickle
import sys
from pathlib import Path

import mlflow.sklearn

folder = Path(sys.argv[1])
with (folder / "model.pickle").open("rb") as file:
    trees = pickle.load(file)
mlflow.sklearn.save_model(
    trees,
    str(folder / "mlflow"),
    pyfunc_predict_fn="predict_proba",
    serialization_format="cloudpickle",
    pip_requirements=["scikit-learn"],
)
