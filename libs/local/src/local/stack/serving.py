"""Which version of each model answers, as the predictor tells it."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

TIMEOUT_SECONDS = 2.0


def told(predictor: str) -> list[str]:
    """A line for each model and for each version that failed to load.

    Args:
        predictor: its base URL.

    Raises:
        OSError: it does not answer.
        ValueError: what answers there is no predictor.
    """
    with urllib.request.urlopen(f"{predictor}/v1/models", timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own address
        page = json.load(answer)
    try:
        return list(_lines(page)) or ["no model is in service yet"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{predictor}/v1/models answers no list of models: {error!r}") from error


def _lines(page: dict[str, Any]) -> Iterator[str]:
    for model in page["models"]:
        line = f"{model['model']}: version {model['champion']['version']} serves"
        if model["challenger"]:
            line += f", version {model['challenger']['version']} at {model['weight']:.0%}"
        yield f"{line} ({model['phase']})"
    for failure in page["failures"]:
        yield f"{failure['model']}: version {failure['version']} not loaded: {failure['message']}"
