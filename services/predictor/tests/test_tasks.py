"""Models of all tasks in one service: each protocol answers what the estimator itself does."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from services.predictor.tests.fitted import (
    AMOUNTS,
    CLASSES,
    ROWS,
    SKIES,
    WETNESS,
    Form,
    expected,
    target,
    version_of,
)
from services.predictor.tests.lab import NOW, Json, Lab

from event_schemas import ScoreRequested
from event_schemas.task import Loss, Target
from local.process import free_port
from predictor.api.kafka import KafkaScoringLoop
from predictor.api.oip.grpc_tensors import SERVICE, message, methods
from predictor.batch import __main__ as command
from predictor.domain.errors import ScoreError
from predictor.settings import ScoreSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the converters

TARGETS = (WETNESS, SKIES, AMOUNTS)
SOME = ROWS[:7]


def instance(n: int) -> Json:
    x, y = map(float, SOME[n])
    return {"entity_id": f"e{n}", "features": {"x": x, "y": y}, "event_time": NOW.isoformat()}


def serve(lab: Lab, form: Form = "onnx") -> Lab:
    lab.announce(*(lab.step(0, version_of(lab, each, form=form)) for each in TARGETS))
    assert lab.get("/health")["status"] == "ok"
    return lab


def ask(lab: Lab, model: str, body: Json) -> Json:
    response = lab.run(lambda client: client.post(f"/v1/models/{model}/predict", json=body))
    assert response.status_code == 200, response.text
    return response.json()


def names(scores: Any) -> list[str]:
    return [CLASSES[place] for place in np.argmax(scores, axis=1)]


@pytest.mark.parametrize("form", ["onnx", "skops"])
def test_the_native_api_answers_and_logs_by_task(lab: Lab, form: Form) -> None:
    serve(lab, form)
    many = {"instances": [instance(n) for n in range(len(SOME))]}

    found = ask(lab, "multiclass", many)["predictions"]
    scores = expected(SKIES, SOME)
    given = [[each["scores"][name] for name in CLASSES] for each in found]
    assert np.abs(np.array(given) - scores).max() <= 1e-5
    assert [each["prediction"] for each in found] == names(scores)
    assert [each["confidence"] for each in found] == [max(each) for each in given]
    logged = lab.logged()
    assert [each.scores for each in logged] == [each["scores"] for each in found]
    assert [each.prediction for each in logged] == [each["prediction"] for each in found]
    assert {each.score for each in logged} == {None}

    one = ask(lab, "regression", instance(3))
    assert one["prediction"] == pytest.approx(expected(AMOUNTS, SOME)[3], rel=1e-6)
    assert "score" not in one
    last = lab.logged()[-1]
    assert (last.prediction, last.score, last.scores) == (one["prediction"], None, None)

    named = ask(lab, "binary", instance(3))
    probability = expected(WETNESS, SOME)[3, 1]
    assert named["score"] == pytest.approx(probability, abs=1e-5)
    assert named["prediction"] == ("wet" if probability >= 0.5 else "dry")
    last = lab.logged()[-1]
    assert (last.score, last.prediction) == (named["score"], None)


def test_the_models_page_says_task_and_classes(lab: Lab) -> None:
    serve(lab)
    found = {each["model"]: each["champion"] for each in lab.get("/v1/models")["models"]}
    assert {name: (each["task"], each["classes"]) for name, each in found.items()} == {
        "binary": ("binary", ["dry", "wet"]),
        "multiclass": ("multiclass", list(CLASSES)),
        "regression": ("regression", []),
    }


def tensors(count: int = len(SOME)) -> list[Json]:
    return [
        {"name": name, "datatype": "FP64", "shape": [count], "data": SOME[:count, i].tolist()}
        for i, name in enumerate(("x", "y"))
    ]


def infer(lab: Lab, model: str, **more: Any) -> dict[str, Json]:
    body = {"inputs": tensors(), **more}
    response = lab.run(lambda client: client.post(f"/v2/models/{model}/infer", json=body))
    assert response.status_code == 200, response.text
    return {each["name"]: each for each in response.json()["outputs"]}


def test_the_open_protocol_has_the_outputs_of_the_task(lab: Lab) -> None:
    serve(lab)
    found = infer(lab, "multiclass")
    scores = expected(SKIES, SOME)
    assert found["probabilities"]["shape"] == [len(SOME), 3]
    given = np.array(found["probabilities"]["data"]).reshape(-1, 3)
    assert np.abs(given - scores).max() <= 1e-5
    assert (found["prediction"]["datatype"], found["prediction"]["data"]) == (
        "BYTES",
        names(scores),
    )
    number = infer(lab, "regression", outputs=[{"name": "prediction"}])
    assert list(number) == ["prediction"]
    assert number["prediction"]["datatype"] == "FP64"
    assert number["prediction"]["data"] == pytest.approx(expected(AMOUNTS, SOME), rel=1e-6)
    assert infer(lab, "binary")["prediction"]["datatype"] == "BYTES"


def test_the_metadata_tell_outputs_and_classes(lab: Lab) -> None:
    serve(lab)
    metadata = lab.get("/v2/models/multiclass")
    outputs = {each["name"]: each["shape"] for each in metadata["outputs"]}
    assert outputs["probabilities"] == [-1, 3]
    assert json.loads(metadata["properties"]["classes"]) == list(CLASSES)
    assert metadata["properties"]["task"] == "multiclass"
    assert "probability" not in {o["name"] for o in lab.get("/v2/models/regression")["outputs"]}


def test_an_output_of_another_task_is_unknown(lab: Lab) -> None:
    serve(lab)
    body = {"inputs": tensors(), "outputs": [{"name": "probability"}]}
    response = lab.run(lambda client: client.post("/v2/models/regression/infer", json=body))
    assert response.status_code == 400
    assert "known are prediction, prediction_id, version, arm" in response.json()["error"]


def test_rows_of_a_version_with_other_classes_are_read_by_name(lab: Lab) -> None:
    fewer = replace(SKIES, classes=("rain", "hail", "snow"))
    first = version_of(lab, SKIES)
    second = version_of(lab, SKIES, 2).model_copy(update={"classes": fewer.classes})
    lab.announce(lab.step(0, first, second, weight=1.0))
    found = infer(lab, "multiclass", outputs=[{"name": "probabilities"}])["probabilities"]
    given = np.array(found["data"]).reshape(-1, 3)  # hail, rain, sun
    scores = expected(SKIES, SOME)  # of what the second calls rain, hail, snow
    assert np.abs(given[:, 0] - scores[:, 1]).max() <= 1e-5
    assert np.abs(given[:, 1] - scores[:, 0]).max() <= 1e-5
    assert set(given[:, 2]) == {0.0}


def test_a_row_of_another_task_is_refused_with_a_remedy(lab: Lab) -> None:
    other = version_of(lab, AMOUNTS, 2).model_copy(update={"model": "multiclass"})
    lab.announce(lab.step(0, version_of(lab, SKIES), other, weight=1.0))
    body = {"inputs": tensors()}
    response = lab.run(lambda client: client.post("/v2/models/multiclass/infer", json=body))
    assert response.status_code == 503
    assert "version 2 is a regression model" in response.json()["error"]
    path = "/v2/models/multiclass/versions/2/infer"
    assert lab.run(lambda client: client.post(path, json=body)).status_code == 200


@pytest.mark.parametrize("raw", [True, False])
def test_grpc_answers_the_same(lab: Lab, raw: bool) -> None:
    port = free_port()
    lab.start(grpc_port=port)
    serve(lab)
    asked = message("ModelInferRequest")(model_name="multiclass")
    for n, name in enumerate(("x", "y")):
        tensor = asked.inputs.add(name=name, datatype="FP32", shape=[len(SOME)])
        if raw:
            asked.raw_input_contents.append(SOME[:, n].tobytes())
        else:
            tensor.contents.fp32_contents.extend(SOME[:, n].tolist())

    async def session() -> Any:
        _, kind = methods()["ModelInfer"]
        async with (
            lab.app.router.lifespan_context(lab.app),
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            call = channel.unary_unary(
                f"/{SERVICE}/ModelInfer",
                request_serializer=type(asked).SerializeToString,
                response_deserializer=kind.FromString,
            )
            return await call(asked, timeout=60, wait_for_ready=True)

    answer = asyncio.run(session())
    found = dict(zip([each.name for each in answer.outputs], answer.outputs, strict=True))
    assert list(found["probabilities"].shape) == [len(SOME), 3]
    place = list(found).index("probabilities")
    given = (
        np.frombuffer(answer.raw_output_contents[place], np.float64)
        if raw
        else np.array(found["probabilities"].contents.fp64_contents)
    ).reshape(-1, 3)
    assert np.abs(given - expected(SKIES, SOME)).max() <= 1e-5


def test_requests_over_kafka_are_answered_in_the_log(lab: Lab) -> None:
    lab.start(score_requested=True)
    lab.of(KafkaScoringLoop).loop.open()
    serve(lab)
    for n, each in enumerate(TARGETS):
        lab.bus.publish(
            ScoreRequested(
                prediction_id=f"p{n}",
                model=each.task,
                entity="e",
                features=instance(2)["features"],
                event_time=NOW,
            )
        )

    async def session() -> None:
        async with lab.app.router.lifespan_context(lab.app):
            await asyncio.to_thread(lab.of(KafkaScoringLoop).loop.step)

    asyncio.run(session())
    wet, sky, amount = lab.logged()
    assert wet.score == pytest.approx(expected(WETNESS, SOME)[2, 1], abs=1e-5)
    assert sky.prediction == names(expected(SKIES, SOME))[2]
    assert amount.prediction == pytest.approx(expected(AMOUNTS, SOME)[2], rel=1e-6)


def score_table(lab: Lab, folder: Path, model: str, *words: str) -> pa.Table:
    rows = {
        "event_id": [f"e{n}" for n in range(len(SOME))],
        "event_time": pa.array([NOW] * len(SOME), pa.timestamp("us", "UTC")),
        "x": SOME[:, 0].astype(float),
        "y": SOME[:, 1].astype(float),
    }
    if not (folder / "rows").exists():
        write_deltalake(str(folder / "rows"), pa.table(rows))
    arguments = ["--model", model, "--input", "rows", "--output", model, *words]
    settings = ScoreSettings(lake_uri=str(folder), feast_repo=str(folder))
    chosen = command._parser().parse_args(arguments)
    assert command.score(chosen, settings, lab.bus, lab.artifacts) == 0
    return DeltaTable(str(folder / model)).to_pyarrow_table()


def test_tables_are_scored_by_task(lab: Lab, tmp_path: Path) -> None:
    serve(lab)
    skies = score_table(lab, tmp_path, "multiclass")
    scores = expected(SKIES, SOME)
    by_class = [dict(each) for each in skies["probabilities"].to_pylist()]
    assert np.abs(np.array([[e[c] for c in CLASSES] for e in by_class]) - scores).max() <= 1e-5
    assert skies["prediction"].to_pylist() == names(scores)
    amounts = score_table(lab, tmp_path, "regression")
    assert amounts["prediction"].to_pylist() == pytest.approx(expected(AMOUNTS, SOME), rel=1e-6)
    assert "probability" not in amounts.column_names
    wet = score_table(lab, tmp_path, "binary")
    assert set(wet["prediction"].to_pylist()) == {"dry", "wet"}


def test_versions_of_two_tasks_share_no_table(lab: Lab, tmp_path: Path) -> None:
    other = version_of(lab, AMOUNTS, 2).model_copy(update={"model": "multiclass"})
    lab.announce(lab.step(0, version_of(lab, SKIES), other, weight=0.5))
    with pytest.raises(ScoreError, match="version 1 a multiclass one and 2 a regression one"):
        score_table(lab, tmp_path, "multiclass", "--arm", "sticky")


@pytest.mark.parametrize(
    ("form", "of_file", "announced"),
    [
        ("onnx", SKIES, AMOUNTS),
        *((form, AMOUNTS, SKIES) for form in ("onnx", "skops")),
        *((f, SKIES, target("multiclass", ("a", "b", "c", "d"))) for f in ("onnx", "skops")),
    ],
)
def test_a_file_that_answers_another_task_costs_itself(
    lab: Lab, form: Form, of_file: Target, announced: Target
) -> None:
    good = version_of(lab, WETNESS)
    bad = version_of(lab, of_file, form=form)
    bad = bad.model_copy(
        update={
            "model": "bad",
            "task": announced.task,
            "classes": announced.classes,
            "loss": announced.loss,
        }
    )
    lab.announce(lab.step(0, good), lab.step(0, bad))
    (failure,) = lab.get("/v1/models")["failures"]
    assert failure["model"] == "bad"
    assert failure["reason"] == "signature"
    assert not failure["will_retry"]
    assert ask(lab, "binary", instance(0))["model"] == "binary"


def test_a_number_that_is_none_fails_its_row(lab: Lab) -> None:
    serve(lab)
    huge = {**instance(0), "features": {"x": 3.4e38, "y": -3.4e38}}

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/models/regression/predict", json=huge)

    response = lab.run(talk)
    assert response.status_code == 500
    assert "which is no number" in response.json()["error"]["message"]
    assert lab.logged()[-1].error is not None


def test_a_decision_by_costs_is_told(lab: Lab) -> None:
    dear = Loss(name="cost", costs=((0, 1), (9, 0)))
    version = version_of(lab, WETNESS).model_copy(update={"loss": dear})
    lab.announce(lab.step(0, version))
    scores = expected(WETNESS, SOME)[:, 1]
    found = ask(lab, "binary", {"instances": [instance(n) for n in range(len(SOME))]})
    decided = [each["prediction"] for each in found["predictions"]]
    assert decided == ["wet" if score > 0.1 else "dry" for score in scores]
