"""Writes MLServer's settings; run as `mlserver_prepare.py FOLDER RUNTIME`."""

import json
import sys
from pathlib import Path

folder, runtime = Path(sys.argv[1]), sys.argv[2]
served = folder / f"mlserver-{runtime}"
served.mkdir(exist_ok=True)
if runtime == "sklearn":
    import pickle

    import joblib

    with (folder / "model.pickle").open("rb") as file:
        joblib.dump(pickle.load(file), served / "model.joblib")
    implementation = "mlserver_sklearn.SKLearnModel"
else:
    implementation = "mlserver_app.OnnxModel"
model = {
    "name": "m",
    "implementation": implementation,
    "parameters": {"uri": "./model.joblib" if runtime == "sklearn" else "."},
    "max_batch_size": 64,
    "max_batch_time": 0.005,
}
(served / "model-settings.json").write_text(json.dumps(model))
