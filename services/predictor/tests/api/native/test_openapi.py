import jsonschema
import pytest
from services.predictor.tests.lab import Json, Lab

OIP = ["/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"]
PATHS = ["/predict", "/v1/models/{model}/predict"]


def validate(document: Json, content: Json, value: object) -> None:
    schema = {**content["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("path", PATHS)
def test_docs_show_a_prediction_with_schema_and_examples(
    serving: Lab, body: Json, path: str
) -> None:
    document = serving.get("/openapi.json")
    operation = document["paths"][path]["post"]
    asked = operation["requestBody"]["content"]["application/json"]
    if path == "/predict":
        validate(document, asked, body)
    statuses = {"200", "400", "401", "403", "404", "413", "415", "422", "429", "500", "503"}
    assert set(operation["responses"]) == statuses
    headers = [each["name"] for each in operation["parameters"] if each["in"] == "header"]
    assert headers == ["X-Tailrace-Arm", "X-Request-Timeout"]
    contents = [r["content"]["application/json"] for r in operation["responses"].values()]
    for content in [asked, *contents]:
        assert content["examples"]
        for example in content["examples"].values():
            validate(document, content, example["value"])
    assert {"/v1/models", "/health"} <= set(document["paths"])


@pytest.mark.parametrize("path", PATHS)
def test_the_documented_examples_are_answered_or_told_what_to_change(
    serving: Lab, path: str
) -> None:
    document = serving.get("/openapi.json")
    operation = document["paths"][path]["post"]
    for example in operation["requestBody"]["content"]["application/json"]["examples"].values():
        body = example["value"]
        url = path.format(model="flight_delay")
        answer = serving.run(lambda client, url=url, body=body: client.post(url, json=body))
        instances = body.get("instances", [body])
        if "instances" in body:
            codes = [each["error"]["code"] for each in answer.json()["predictions"]]
        else:
            codes = [answer.json()["error"]["code"]]
        assert codes == ["unknown_feature"] * len(instances)  # the tiny model takes fewer
        for each in instances:
            each["features"] = {k: each["features"][k] for k in ("carrier", "origin", "hour")}
        answer = serving.run(lambda client, url=url, body=body: client.post(url, json=body))
        assert answer.status_code == 200
        content = operation["responses"]["200"]["content"]["application/json"]
        validate(document, content, answer.json())


@pytest.mark.parametrize("path", OIP)
def test_docs_show_the_protocol_with_schema_and_examples(serving: Lab, path: str) -> None:
    document = serving.get("/openapi.json")
    operation = document["paths"][path]["post"]
    asked = operation["requestBody"]["content"]["application/json"]
    statuses = {"200", "400", "401", "403", "404", "413", "429", "500", "503"}
    assert set(operation["responses"]) == statuses
    contents = [r["content"]["application/json"] for r in operation["responses"].values()]
    for content in [asked, *contents]:
        for example in content["examples"].values():
            validate(document, content, example["value"])
    url = path.format(model="flight_delay", version="1")
    example = asked["examples"]["one"]["value"]
    answer = serving.run(lambda client: client.post(url, json=example))
    assert answer.status_code == 200, answer.text
    validate(document, contents[0], answer.json())


def test_the_docs_page_is_served(serving: Lab) -> None:
    page = serving.run(lambda client: client.get("/docs"))
    assert page.status_code == 200
    assert "openapi.json" in page.text
