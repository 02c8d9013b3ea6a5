"""BentoML with the bench's model; run as `bentoml serve bentoml_app:Model`."""

import bentoml
import numpy as np
from model_of_bench import load


@bentoml.service(
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"sample_rate": 0.0},
)
class Model:
    def __init__(self) -> None:
        self.scores = load()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.scores(np.asarray(x, np.float32))
