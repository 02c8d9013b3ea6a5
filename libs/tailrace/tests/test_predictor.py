"""What a predictor says of itself, in a line a model."""

from collections.abc import Callable
from typing import Any

import pytest

from local.errors import StackError
from local.process import free_port
from tailrace.predictor import PredictorPages, Routing


def serving(url: str) -> list[str]:
    return PredictorPages(url).serving()


def model(**fields: Any) -> dict[str, Any]:
    champion = {"version": "1"}
    stable = {
        "model": "m",
        "champion": champion,
        "challenger": None,
        "weight": 0,
        "phase": "stable",
    }
    return stable | fields


def test_a_canary_is_shown_with_its_share(answering: Callable[[Any], str]) -> None:
    canary = model(challenger={"version": "2"}, weight=0.1, phase="canary")
    assert serving(answering({"models": [model(), canary], "failures": []})) == [
        "m: version 1 serves (stable)",
        "m: version 1 serves, version 2 at 10% (canary)",
    ]


def test_the_task_is_named(answering: Callable[[Any], str]) -> None:
    page = model(champion={"version": "1", "task": "regression"})
    assert serving(answering({"models": [page]})) == ["m: version 1 serves (regression, stable)"]


def test_a_version_that_was_not_loaded_is_shown_with_the_reason(
    answering: Callable[[Any], str],
) -> None:
    failure = {"model": "m", "version": "2", "message": "sha256 differs"}
    page = {"models": [], "failures": [failure]}
    assert serving(answering(page)) == ["m: version 2 not loaded: sha256 differs"]


def test_no_model_is_said_to_be_in_service(answering: Callable[[Any], str]) -> None:
    assert serving(answering({"models": [], "failures": []})) == ["no model is in service yet"]


@pytest.mark.parametrize("page", [[], {}, {"models": [{}], "failures": []}])
def test_another_server_is_no_predictor(answering: Callable[[Any], str], page: Any) -> None:
    with pytest.raises(StackError, match="no list of models"):
        serving(answering(page))


def test_nobody_answers() -> None:
    with pytest.raises(StackError, match="refused"):
        serving(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("routing", "line"),
    [
        (Routing("m", "stable", 0.0, "1", None), "stable: version 1 serves"),
        (Routing("m", "canary", 0.1, "1", "2"), "canary: version 1 serves, version 2 at 10%"),
        (
            Routing("m", "canary", 0.0, "1", "2", 0.5),
            "canary: version 1 serves, version 2 in shadow of 50%",
        ),
    ],
)
def test_a_line_says_who_serves_and_who_is_under_trial(routing: Routing, line: str) -> None:
    assert str(routing) == line
