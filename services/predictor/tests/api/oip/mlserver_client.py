"""MLServer's types, codecs and converters as a client; run in MLServer's environment.

Usage: mlserver_client.py HTTP_ADDRESS GRPC_ADDRESS. Prints how many requests were answered rightly.
"""

import json
import math
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import pandas as pd
from mlserver import types
from mlserver.codecs import NumpyCodec, NumpyRequestCodec, PandasCodec, StringCodec
from mlserver.grpc import dataplane_pb2 as messages
from mlserver.grpc.converters import ModelInferRequestConverter, ModelInferResponseConverter
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

KINDS = (
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64", "bool"),
)
http, rpc = sys.argv[1:]
stub = GRPCInferenceServiceStub(grpc.insecure_channel(rpc))
answered = 0


def page(path: str, body: str | None = None) -> bytes:
    """What is answered, whatever the status."""
    headers = {"Content-Type": "application/json"}
    data = None if body is None else body.encode()
    asked = urllib.request.Request(f"http://{http}/v2{path}", data, headers)
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()


def over_http(model: str, request: types.InferenceRequest) -> types.InferenceResponse:
    body = request.model_dump_json(exclude_none=True)
    return types.InferenceResponse.model_validate_json(page(f"/models/{model}/infer", body))


def over_grpc(model: str, request: types.InferenceRequest) -> types.InferenceResponse:
    sent = ModelInferRequestConverter.from_types(request, model_name=model, model_version=None)
    return ModelInferResponseConverter.to_types(stub.ModelInfer(sent))


def expect(
    model: str, request: types.InferenceRequest, logits: Sequence[float] | np.ndarray
) -> None:
    global answered
    wanted = [1 / (1 + math.exp(-float(each))) for each in logits]
    for way in (over_http, over_grpc):
        found = {each.name: each for each in way(model, request).outputs}
        scores = NumpyCodec.decode_output(found["probability"])
        np.testing.assert_allclose(scores, wanted, atol=1e-6)
        assert len(StringCodec.decode_output(found["prediction_id"])) == len(wanted)
        answered += 1


for kind in KINDS:
    for rows in (1, 4):
        values = (np.arange(2 * rows).reshape(rows, 2) % 2).astype(kind)
        sums = values.astype(float).sum(axis=1)
        expect("numbers", NumpyRequestCodec.encode_request(values), sums)
        columns = {"hour": values[:, 0], "distance": values[:, 1]}
        inputs = [NumpyCodec.encode_input(name, column) for name, column in columns.items()]
        expect("numbers", types.InferenceRequest(inputs=inputs), sums)
        expect("numbers", PandasCodec.encode_request(pd.DataFrame(columns)), sums)

texts = [
    StringCodec.encode_input("carrier", ["UA", "ÄÖ"]),
    StringCodec.encode_input("origin", ["EWR", "UA"]),
]
expect("categories", types.InferenceRequest(inputs=texts), [1, 1])

types.MetadataServerResponse.model_validate_json(page(""))
described = types.MetadataModelResponse.model_validate_json(page("/models/mixed"))
assert [each.name for each in described.inputs] == ["carrier", "origin", "hour", "distance"]
types.InferenceErrorResponse.model_validate_json(page("/models/none"))
assert stub.ServerLive(messages.ServerLiveRequest()).live
assert stub.ServerReady(messages.ServerReadyRequest()).ready
assert stub.ModelReady(messages.ModelReadyRequest(name="mixed")).ready
metadata = stub.ModelMetadata(messages.ModelMetadataRequest(name="mixed"))
assert [each.name for each in metadata.inputs] == ["carrier", "origin", "hour", "distance"]

# `mlserver infer` is MLServer's own client, for files of requests.
with tempfile.TemporaryDirectory() as folder:
    asked, found = Path(folder, "asked.jsonl"), Path(folder, "found.jsonl")
    request = NumpyRequestCodec.encode_request(np.zeros((1, 2), np.float32))
    asked.write_text((request.model_dump_json(exclude_none=True) + "\n") * 8)
    # It has no gRPC yet.
    for transport, address in (("rest", http),):
        for batch in ("1", "4"):
            command = "from mlserver.cli import main; main()"
            words = ["infer", "-u", address, "-m", "numbers", "-i", str(asked), "-o", str(found)]
            subprocess.run(
                [sys.executable, "-c", command, *words, "-s", batch, "--transport", transport],
                check=True,
                capture_output=True,
                text=True,
            )
            answers = [json.loads(line) for line in found.read_text().splitlines()]
            assert len(answers) == 8, answers
            for each in answers:
                outputs = {output["name"]: output for output in each["outputs"]}
                np.testing.assert_allclose(outputs["probability"]["data"], [0.5])
                answered += 1

sys.stdout.write(f"{answered}\n")
