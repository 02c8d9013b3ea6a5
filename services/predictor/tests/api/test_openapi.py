from typing import Any

import jsonschema


def test_docs_show_predict_with_schema_and_examples(serving: Any, body: Any) -> None:
    document = serving.get("/openapi.json")
    operation = document["paths"]["/predict"]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)
    jsonschema.Draft202012Validator(schema).validate(content["example"])
    assert set(operation["responses"]) == {"200", "400", "404", "413", "422", "500", "503"}
    for response in operation["responses"].values():
        part = response["content"]["application/json"]
        reply = {**part["schema"], "components": document["components"]}
        jsonschema.Draft202012Validator(reply).validate(part["example"])
    assert {"/v1/models", "/health"} <= set(document["paths"])


def test_the_documented_example_is_answered_or_told_what_to_change(serving: Any) -> None:
    operation = serving.get("/openapi.json")["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["example"]
    answer = serving.post(example)
    assert answer.json()["error"]["code"] == "unknown_feature"  # the tiny model takes fewer
    example["features"] = {k: example["features"][k] for k in ("carrier", "origin", "hour")}
    answer = serving.post(example)
    assert answer.status_code == 200
    reply = operation["responses"]["200"]["content"]["application/json"]
    document = serving.get("/openapi.json")
    schema = {**reply["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())


def test_the_docs_page_is_served(serving: Any) -> None:
    page = serving.run(lambda client: client.get("/docs"))
    assert page.status_code == 200
    assert "/openapi.json" in page.text
