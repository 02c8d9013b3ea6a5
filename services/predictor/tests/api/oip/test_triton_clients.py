"""Triton's own clients, over HTTP and gRPC: every datatype in every shape."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from services.predictor.tests.api.oip.ports import Ports
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from predictor.api.oip.grpc_tensors import SERVICE, methods

DATATYPES = {
    "BOOL": np.bool_,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": ml_dtypes.bfloat16,
}
WAYS = ["http binary", "http json", "grpc"]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


Tensors: TypeAlias = Mapping[str, tuple[str, np.ndarray]]
Answers: TypeAlias = dict[str, list[Any]]


class Ask(Protocol):
    def __call__(self, way: str, model: str, tensors: Tensors, **options: Any) -> Answers: ...


def _text(value: object) -> object:
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture
def ask(served: Ports) -> Iterator[Ask]:
    """Asks in one of the ways; the outputs by name."""
    http = over_http.InferenceServerClient(served.http)
    grpc = over_grpc.InferenceServerClient(served.grpc)

    def ask(way: str, model: str, tensors: Tensors, **options: Any) -> Answers:
        client: Any
        library: Any
        client, library = (grpc, over_grpc) if way == "grpc" else (http, over_http)
        binary = {} if way == "grpc" else {"binary_data": way == "http binary"}
        inputs = []
        for name, (datatype, array) in tensors.items():
            each = library.InferInput(name, list(array.shape), datatype)
            each.set_data_from_numpy(array, **binary)
            inputs.append(each)
        wanted = ["prediction", "probability", "prediction_id", "version", "arm"]
        outputs = [library.InferRequestedOutput(name, **binary) for name in wanted]
        result = client.infer(model, inputs, outputs=outputs, **options)
        arrays = {name: result.as_numpy(name) for name in wanted}
        return {name: [_text(v) for v in array.tolist()] for name, array in arrays.items()}

    yield ask
    http.close()
    grpc.close()


def test_every_datatype_in_every_shape_gets_the_same_answers_in_every_way(
    served: Ports, ask: Ask
) -> None:
    asked = 0
    for way in WAYS:
        for datatype, kind in DATATYPES.items():
            if datatype in ("FP16", "BF16") and way == "http json":
                continue  # this client has no JSON for them
            for rows in (1, 3, 50):
                values = (np.arange(2 * rows).reshape(rows, 2) % 2).astype(kind)
                wanted = [sigmoid(float(a) + float(b)) for a, b in values]
                for tensors in (
                    {"hour": values[:, 0], "distance": values[:, 1]},
                    {"hour": values[:, :1], "distance": values[:, 1:]},
                    {"x": values},
                ):
                    found = ask(
                        way,
                        "numbers",
                        {n: (datatype, np.ascontiguousarray(v)) for n, v in tensors.items()},
                    )
                    np.testing.assert_allclose(found["probability"], wanted, atol=1e-6)
                    assert found["prediction"] == [int(w >= 0.5) for w in wanted]
                    assert len(set(found["prediction_id"])) == rows
                    asked += rows
    logged = served.lab.logged()
    assert len(logged) == asked, "each row is logged"
    assert {each.arm for each in logged} == {"champion"}
    assert not any(each.pinned for each in logged)


@pytest.mark.parametrize("way", WAYS)
def test_texts_and_numbers_go_together(ask: Ask, way: str) -> None:
    found = ask(
        way,
        "mixed",
        {
            "carrier": ("BYTES", np.array(["UA", "ÄÖ", ""], dtype=np.object_)),
            "origin": ("BYTES", np.array(["EWR", "JFK", "UA"], dtype=np.object_)),
            "hour": ("FP64", np.array([0.5, -1, 0])),
            "distance": ("INT32", np.array([0, 0, 2], np.int32)),
        },
    )
    wanted = [sigmoid(1.5), sigmoid(-1.0), sigmoid(3.0)]
    np.testing.assert_allclose(found["probability"], wanted, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_named_version_answers_and_is_logged_as_pinned(served: Ports, ask: Ask, way: str) -> None:
    x = {"x": ("FP32", np.zeros((2, 2), np.float32))}
    found = ask(way, "numbers", x, model_version="2", request_id="r")
    np.testing.assert_allclose(found["probability"], [sigmoid(1.0)] * 2, atol=1e-6)
    assert found["version"] == ["2", "2"]
    assert found["arm"] == ["challenger", "challenger"]
    assert [(each.version, each.pinned, each.entity) for each in served.lab.logged()] == [
        ("2", True, "r")
    ] * 2


@pytest.mark.parametrize("way", WAYS)
def test_a_tester_chooses_the_arm(served: Ports, ask: Ask, way: str) -> None:
    x = {"x": ("FP32", np.zeros((2, 2), np.float32))}
    headers = {"x-tailrace-arm": "challenger", "authorization": f"Bearer {served.token}"}
    assert ask(way, "numbers", x, headers=headers)["version"] == ["2", "2"]
    assert [(each.version, each.pinned) for each in served.lab.logged()] == [("2", True)] * 2


@pytest.mark.parametrize(
    ("headers", "version", "status", "text"),
    [
        ({"x-tailrace-arm": "2"}, "", ("StatusCode.UNAUTHENTICATED", "401"), "needs the predictor"),
        ({"x-tailrace-arm": "7"}, "", ("StatusCode.NOT_FOUND", "404"), "loaded are 1, 2"),
        ({"x-tailrace-arm": "2"}, "1", ("StatusCode.INVALID_ARGUMENT", "400"), "named already"),
    ],
)
@pytest.mark.parametrize("way", ["http json", "grpc"])
def test_a_tester_is_told_what_was_wrong(
    served: Ports,
    ask: Ask,
    way: str,
    headers: dict[str, str],
    version: str,
    status: tuple[str, str],
    text: str,
) -> None:
    x = {"x": ("FP32", np.zeros((1, 2), np.float32))}
    if status[1] != "401":
        headers = {**headers, "authorization": f"Bearer {served.token}"}
    with pytest.raises(InferenceServerException, match=text) as caught:
        ask(way, "numbers", x, headers=headers, model_version=version)
    assert caught.value.status() == status[way != "grpc"]
    assert served.lab.logged() == []


@pytest.mark.parametrize("way", WAYS)
def test_entities_choose_the_arm_of_each_row(served: Ports, ask: Ask, way: str) -> None:
    entities = np.array([f"e{i}" for i in range(40)], dtype=np.object_)
    route = served.lab.follower.routes.of("numbers")
    numbers = [served.lab.version(i, served.numbers, model="numbers") for i in (1, 2)]
    served.lab.announce(served.lab.step(1, *numbers, weight=0.5))
    assert served.lab.follower.routes.of("numbers") is not route
    found = ask(
        way,
        "numbers",
        {"x": ("FP32", np.zeros((40, 2), np.float32)), "entity_id": ("BYTES", entities)},
    )
    arms = [served.lab.follower.routes.of("numbers").arm(e).name for e in entities]
    assert found["arm"] == arms
    assert len(set(arms)) == 2


def test_both_clients_are_told_the_same_of_server_and_models(served: Ports) -> None:
    with over_http.InferenceServerClient(served.http) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("numbers")
        assert client.is_model_ready("numbers", "2")
        assert not client.is_model_ready("numbers", "9")
        server, model = client.get_server_metadata(), client.get_model_metadata("mixed")
        index = client.get_model_repository_index()
    assert server["name"] == "tailrace-predictor"
    assert [(i["name"], i["datatype"], i["shape"]) for i in model["inputs"]] == [
        ("carrier", "BYTES", [-1, 1]),
        ("origin", "BYTES", [-1, 1]),
        ("hour", "FP64", [-1, 1]),
        ("distance", "FP64", [-1, 1]),
    ]
    assert {(each["name"], each["version"]) for each in index} == {
        ("categories", "1"),
        ("mixed", "1"),
        ("numbers", "1"),
        ("numbers", "2"),
    }
    with over_grpc.InferenceServerClient(served.grpc) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("numbers", "2")
        with pytest.raises(InferenceServerException, match="loaded are 1, 2") as told:
            client.is_model_ready("numbers", "9")
        assert "NOT_FOUND" in str(told.value.status())
        assert client.get_server_metadata(as_json=True) == server
        same = client.get_model_metadata("mixed", as_json=True)
        assert same is not None
        assert model is not None
        # JSON of protobuf has int64 as text.
        assert [i["name"] for i in same["inputs"]] == [i["name"] for i in model["inputs"]]
        assert same["platform"] == model["platform"]
        listed = client.get_model_repository_index(as_json=True)
        assert listed is not None
        assert listed["models"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("model", "tensors", "text", "status"),
    [
        ("none", {"x": ("FP32", np.zeros((1, 2), np.float32))}, "known are", "NOT_FOUND"),
        ("numbers", {"x": ("FP32", np.zeros((1, 3), np.float32))}, "takes 2", "INVALID_ARGUMENT"),
        ("numbers", {"hour": ("FP32", np.zeros(1, np.float32))}, "distance", "INVALID_ARGUMENT"),
        (
            "numbers",
            {
                "hour": ("FP32", np.zeros(1, np.float32)),
                "distance": ("FP32", np.zeros(2, np.float32)),
            },
            "rows",
            "INVALID_ARGUMENT",
        ),
        (
            "numbers",
            {"x": ("FP64", np.full((1, 2), np.inf))},
            "inf",
            "INVALID_ARGUMENT",
        ),
    ],
)
def test_a_client_is_told_what_was_wrong(
    ask: Ask, way: str, model: str, tensors: Tensors, text: str, status: str
) -> None:
    if way == "http json" and tensors.get("x", ("", np.zeros(1)))[0] == "FP64":
        pytest.skip("JSON has no infinity")
    with pytest.raises(InferenceServerException, match=text) as told:
        ask(way, model, tensors)
    http = {"NOT_FOUND": "404", "INVALID_ARGUMENT": "400"}[status]
    assert (status if way == "grpc" else http) in str(told.value.status())


@pytest.mark.parametrize("way", WAYS)
def test_a_client_may_say_how_long_it_waits(served: Ports, ask: Ask, way: str) -> None:
    row = {"x": ("FP32", np.zeros((1, 2), np.float32))}
    assert ask(way, "numbers", row, timeout=60_000_000)["prediction"] == [1]
    before = len(served.lab.logged())
    with pytest.raises(InferenceServerException, match="deadline of this request") as told:
        ask(way, "numbers", row, timeout=1)
    assert ("DEADLINE_EXCEEDED" if way == "grpc" else "503") in str(told.value.status())
    assert len(served.lab.logged()) == before


def test_a_grpc_client_is_told_when_to_try_again(served: Ports) -> None:
    request, response = methods()["ModelInfer"]
    asked = request(
        model_name="numbers",
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        raw_input_contents=[bytes(8)],
    )
    asked.parameters["timeout"].int64_param = 1
    with grpc.insecure_channel(served.grpc) as channel:
        infer = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=request.SerializeToString,
            response_deserializer=response.FromString,
        )
        with pytest.raises(grpc.RpcError) as told:
            infer(asked)
        call: Any = told.value
        assert dict(call.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
        asked.parameters["timeout"].int64_param = 0
        assert infer(asked, timeout=60).model_name == "numbers"


def test_the_dtypes_of_the_matrix_are_those_of_the_client() -> None:
    for name, kind in DATATYPES.items():
        assert np_to_triton_dtype(np.dtype(kind)) == name
