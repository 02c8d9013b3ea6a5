"""LitServe with the bench's model; run as `litserve_app.py PORT`."""

import sys

import litserve
import numpy as np
from model_of_bench import load


class Model(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.scores = load()

    def decode_request(self, request: dict) -> list[float]:
        return request["x"]

    def batch(self, inputs: list[list[float]]) -> np.ndarray:
        return np.asarray(inputs, np.float32)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.scores(x)

    def unbatch(self, output: np.ndarray) -> list[float]:
        return output.tolist()

    def encode_response(self, output: float) -> dict:
        return {"score": output}


if __name__ == "__main__":
    litserve.LitServer(
        Model(max_batch_size=64, batch_timeout=0.002),
        accelerator="cpu",
        workers_per_device=1,
        fast_queue=True,
    ).run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
