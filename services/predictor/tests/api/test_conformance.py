"""The service against its own OpenAPI document: no 5xx, and nothing that it does not tell of."""

import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from services.predictor.tests.lab import Json, Lab

CASES = int(os.environ.get("CONFORMANCE_CASES", "1000"))
"""`make test-conformance` asks for 5,000."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


POSTS = {
    "/predict": {200, 403, 404, 422},
    "/v1/models/{model}/predict": {200, 403, 404, 422},
    "/v2/models/{model}/infer": {200, 400, 403, 404},
    "/v2/models/{model}/versions/{version}/infer": {200, 400, 403, 404},
}
"""Statuses of each that come of generated bodies."""


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.timeout(600)
def test_generated_requests_get_what_the_document_says(serving: Lab, path: str) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", serving.app)
    operation = schema[path]["POST"]
    statuses: dict[int, int] = {}

    @settings(
        max_examples=CASES // len(POSTS),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
        derandomize=True,
    )
    @given(case=operation.as_strategy(), known=st.integers(0, 9))
    def ask(case: Any, known: int) -> None:
        if known:
            tell_what_nobody_would_guess(case)
        if known > 1:
            case.headers.pop("X-Tailrace-Arm", None)  # which is refused here
        case.headers.pop("X-Request-Timeout", None)  # most are too short for any answer
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

    ask()
    assert sum(statuses.values()) >= CASES // len(POSTS)
    assert statuses[200] > CASES // 100, "some were answered"
    assert set(statuses) == POSTS[path]


def test_every_other_operation_does_what_the_document_says(serving: Lab) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", serving.app)
    asked = set()
    for each in schema.get_all_operations():
        operation = each.ok()  # pyright: ignore[reportAttributeAccessIssue] - else the document is wrong
        if operation.path in POSTS:
            continue
        asked.add(operation.path)

        @settings(
            max_examples=max(5, CASES // 200),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
            derandomize=True,
        )
        @given(case=operation.as_strategy(), known=st.booleans())
        def ask(case: Any, known: bool) -> None:
            if known:
                tell_what_nobody_would_guess(case)
            case.validate_response(case.call(), checks=CHECKS)

        ask()
    assert {"/v2", "/v2/health/ready", "/v2/models/{model}", "/v1/models", "/health"} <= asked


INPUTS = [
    {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
    {"name": "origin", "datatype": "BYTES", "shape": [1, 1], "data": [["EWR"]]},
]


def _is_odd(body: Json) -> bool:
    """Half of the requests keep the tensors that were made up."""
    return len(repr(body)) % 2 == 1


def tell_what_nobody_would_guess(case: Any) -> None:
    """Puts the name of the model in, and for objects that have them good features."""
    if "model" in (case.path_parameters or {}):
        case.path_parameters["model"] = "flight_delay"
        if "version" in case.path_parameters:
            case.path_parameters["version"] = "1"
    if not isinstance(case.body, dict):
        return
    if "model" in case.body:
        case.body["model"] = "flight_delay"
    if "inputs" in case.body and _is_odd(case.body):
        case.body["inputs"] = INPUTS
    given = case.body.get("instances")
    for instance in given if isinstance(given, list) else [case.body]:
        if isinstance(instance, dict) and isinstance(instance.get("features"), dict):
            instance["features"] = {"carrier": "UA", "origin": "EWR", "hour": 0.5}
