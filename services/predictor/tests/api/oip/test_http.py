import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from services.predictor.tests.lab import Json, Lab

INFER = "/v2/models/flight_delay/infer"


def tensor(name: str, datatype: str, data: list[Any], **more: Any) -> Json:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data, **more}


@pytest.fixture
def asked() -> Json:
    return {
        "id": "UA1",
        "inputs": [
            tensor("carrier", "BYTES", ["UA"]),
            tensor("origin", "BYTES", ["EWR"]),
            tensor("hour", "FP64", [0.5]),
        ],
    }


def post(lab: Lab, body: Json | bytes, path: str = INFER, **options: Any) -> httpx.Response:
    if isinstance(body, bytes):
        return lab.run(lambda client: client.post(path, content=body, **options))
    return lab.run(lambda client: client.post(path, json=body, **options))


def test_an_answer_is_that_of_the_short_form(serving: Lab, asked: Json, body: Json) -> None:
    short = serving.post(body).json()
    answer = post(serving, asked).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (
        "flight_delay",
        "1",
        "UA1",
    )
    found = {each["name"]: each["data"][0] for each in answer["outputs"]}
    assert found["prediction"] == short["prediction"]
    assert found["probability"] == short["score"]
    first, second = serving.logged()
    assert first.features == second.features
    assert second.prediction_id == found["prediction_id"]


def test_only_the_wanted_outputs_come(serving: Lab, asked: Json) -> None:
    asked["outputs"] = [{"name": "probability"}, {"name": "arm"}]
    assert [each["name"] for each in post(serving, asked).json()["outputs"]] == [
        "probability",
        "arm",
    ]


def test_binary_and_json_may_be_mixed(serving: Lab, asked: Json) -> None:
    asked["inputs"][2] = {
        "name": "hour",
        "datatype": "FP32",
        "shape": [1, 1],
        "parameters": {"binary_data_size": 4},
    }
    asked["outputs"] = [
        {"name": "probability", "parameters": {"binary_data": True}},
        {"name": "version"},
    ]
    head = json.dumps(asked).encode()
    answer = post(
        serving,
        head + np.float32(0.5).tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["Inference-Header-Content-Length"])
    said = json.loads(answer.content[:length])
    assert said["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert said["outputs"][1]["data"] == ["1"]
    assert np.frombuffer(answer.content[length:], "<f8")[0] == pytest.approx(0.8175744, abs=1e-6)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_a_body_may_be_compressed(
    serving: Lab, asked: Json, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(json.dumps(asked).encode())
    assert post(serving, packed, headers={"Content-Encoding": encoding}).status_code == 200


def test_a_body_that_grows_over_the_limit_is_413(lab: Lab) -> None:
    lab.start(max_body_bytes=1000).announce(lab.step(0, lab.version(1)))
    edge = b"{" + b" " * 998 + b"}"
    for size, status in ((0, 400), (1, 413)):
        packed = gzip.compress(edge + b" " * size)
        answer = post(lab, packed, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"inputs": []}, "no inputs"),
        ({"outputs": [{"name": "odds"}]}, "known are prediction"),
        ({"parameters": {"sequence_id": 3}}, "sequence extension"),
        ({"inputs": [tensor("hour", "FP63", [1])]}, "known are BOOL"),
        ({"inputs": [tensor("hour", "INT8", [300])]}, "300 is no INT8"),
        ({"inputs": [tensor("hour", "FP64", [True])]}, "True is no FP64"),
        ({"inputs": [tensor("hour", "FP64", [1, 2], shape=[1])]}, "2 elements"),
        ({"inputs": [tensor("hour", "FP64", [1], shape=[-1])]}, "negative"),
        ({"inputs": [{"name": "hour", "datatype": "FP64", "shape": [1]}]}, "no data"),
        ({"inputs": [tensor("hour", "FP64", [1]), tensor("hour", "FP64", [1])]}, "twice"),
        ({"inputs": [tensor("hour", "FP64", [1])]}, "'carrier' (category) is required"),
    ],
)
def test_a_breach_of_the_protocol_is_400_and_says_what_to_do(
    serving: Lab, asked: Json, change: Json, text: str
) -> None:
    answer = post(serving, {**asked, **change})
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}
    assert text in answer.json()["error"]


def test_a_tensor_that_is_no_feature_is_400(serving: Lab, asked: Json) -> None:
    asked["inputs"].append(tensor("odd", "FP64", [1]))
    answer = post(serving, asked)
    assert answer.status_code == 400
    assert "odd" in answer.json()["error"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"\xff", b'{"inputs": 1}', b"[" * 100_000])
def test_what_is_no_request_is_400(serving: Lab, raw: bytes) -> None:
    answer = post(serving, raw)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("length", ["x", "-1", "999999", "9" * 40])
def test_a_wrong_length_of_the_header_is_400(serving: Lab, asked: Json, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    assert post(serving, json.dumps(asked).encode(), headers=headers).status_code == 400


def test_unknown_models_and_versions_are_404(serving: Lab, asked: Json) -> None:
    for path in ("/v2/models/no/infer", "/v2/models/flight_delay/versions/7/infer"):
        answer = post(serving, asked, path)
        assert answer.status_code == 404
        assert set(answer.json()) == {"error"}
    for path in ("/v2/models/no", "/v2/models/no/ready", "/v2/models/flight_delay/versions/7"):
        answer = serving.run(lambda client, path=path: client.get(path))
        assert answer.status_code == 404
        assert set(answer.json()) == {"error"}


def test_before_the_first_model_it_is_alive_and_not_ready(lab: Lab, asked: Json) -> None:
    statuses = {
        path: lab.run(lambda client, path=path: client.get(path)).status_code
        for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/flight_delay/ready")
    }
    assert statuses == {
        "/v2/health/live": 200,
        "/v2/health/ready": 503,
        "/v2/models/flight_delay/ready": 503,
    }
    answer = post(lab, asked)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(("rows", "status"), [(3, 200), (4, 400)])
def test_rows_are_limited(lab: Lab, rows: int, status: int) -> None:
    lab.start(max_instances=3).announce(lab.step(0, lab.version(1)))
    inputs = [tensor("carrier", "BYTES", ["UA"] * rows), tensor("origin", "BYTES", ["X"] * rows)]
    assert post(lab, {"inputs": inputs}).status_code == status


def test_too_many_at_once_are_503(lab: Lab) -> None:
    lab.start(max_in_flight=2, max_instances=2).announce(lab.step(0, lab.version(1)))
    inputs = [tensor("carrier", "BYTES", ["UA"] * 2), tensor("origin", "BYTES", ["X"] * 2)]

    async def both(client: httpx.AsyncClient) -> list[int]:
        import asyncio

        found = await asyncio.gather(*(client.post(INFER, json={"inputs": inputs}) for _ in "ab"))
        return sorted(each.status_code for each in found)

    assert lab.run(both) == [200, 503]


def test_stored_features_are_read_and_not_asked_for(with_store: Lab, asked: Json) -> None:
    page = with_store.get("/v2/models/flight_delay")
    assert [each["name"] for each in page["inputs"]] == ["carrier", "origin", "hour"]
    assert post(with_store, asked).status_code == 200
    assert with_store.features.reads


def test_nan_and_null_are_missing_values(serving: Lab, asked: Json) -> None:
    asked["inputs"][2] = tensor("hour", "FP64", [None])
    assert post(serving, asked).status_code == 200
    assert serving.logged()[-1].features["hour"] in (None, 0.0)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def members(data: bytes, count: int) -> bytes:
    size = -(-len(data) // count)
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(map(gzip.compress, parts))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("deflate", raw_deflate), *(("gzip", lambda d, n=n: members(d, n)) for n in (2, 60))],
)
def test_fault_6_15_members_and_bare_deflate_are_read(
    serving: Lab, asked: Json, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(json.dumps(asked).encode())
    assert post(serving, packed, headers={"Content-Encoding": encoding}).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "spoil", "told"),
    [
        ("gzip", lambda d: gzip.compress(d)[:-1], "ends before its gzip does"),
        ("gzip", lambda d: gzip.compress(d)[:-9], "ends before its gzip does"),
        ("gzip", lambda d: gzip.compress(d) + b"rest", "is no gzip"),
        ("gzip", lambda d: members(d, len(d)), "more than 64 gzip members: send one"),
        ("gzip", lambda d: b"", "ends before its gzip does"),
        ("deflate", lambda d: zlib.compress(d)[:-1], "ends before its deflate does"),
        ("deflate", lambda d: zlib.compress(d) + b"rest", "4 bytes follow the deflate"),
    ],
)
def test_fault_6_15_a_body_that_is_cut_or_goes_on_is_refused(
    serving: Lab, asked: Json, encoding: str, spoil: Callable[[bytes], bytes], told: str
) -> None:
    packed = spoil(json.dumps(asked).encode())
    answer = post(serving, packed, headers={"Content-Encoding": encoding})
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert not serving.logged()
