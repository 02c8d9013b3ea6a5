"""What a running predictor says of itself, over HTTP."""

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from local.errors import StackError


@dataclass(frozen=True, slots=True)
class Routing:
    """Which versions of a model answer."""

    model: str
    phase: str
    weight: float
    champion: str
    challenger: str | None
    shadow: float = 0.0
    """Share of the champion's predictions that the challenger scores unseen."""
    rollout_id: str = ""
    task: str = ""
    """What the champion answers; empty where the predictor does not say."""

    @property
    def versions(self) -> str:
        """Who serves, and who is on trial."""
        trial = f", version {self.challenger} at {self.weight:.0%}" if self.challenger else ""
        if self.challenger and self.shadow:
            trial = f", version {self.challenger} in shadow of {self.shadow:.0%}"
        return f"version {self.champion} serves{trial}"

    def __str__(self) -> str:
        return f"{self.phase}: {self.versions}"


class PredictorPages:
    """Reads the pages of the predictor at a base URL; one answer may take `timeout` seconds."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        if not url.startswith(("http://", "https://")):
            raise StackError(f"--url {url}: write http:// or https:// before the host")
        self._url = url.rstrip("/")
        self._timeout = timeout

    def ask(self, path: str, body: object | None = None) -> dict[str, Any]:
        """The JSON that a page answers; a body is sent with POST.

        Raises:
            StackError: nothing answers, or not with 200 and JSON.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"content-type": "application/json"}
        request = Request(self._url + path, data=data, headers=headers)  # noqa: S310 - checked
        try:
            with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return json.load(answer)
        except HTTPError as error:
            said = error.read(2000).decode(errors="replace")
            raise StackError(f"{self._url}{path} answered {error.code}: {said}") from None
        except (URLError, HTTPException, OSError) as error:
            raise StackError(f"{self._url}{path} does not answer: {error}") from None
        except ValueError as error:
            raise StackError(f"{self._url}{path} answered no JSON: {error}") from None

    def routing(self, model: str) -> Routing | None:
        """The routing of a model; None when the predictor does not serve it.

        Raises:
            StackError: see `ask`.
        """
        return next((r for r in self._models()[0] if r.model == model), None)

    def serving(self) -> list[str]:
        """A line for each model and for each version that failed to load.

        Raises:
            StackError: see `ask`.
        """
        routings, failures = self._models()
        lines = [
            f"{r.model}: {r.versions} ({', '.join(filter(None, (r.task, r.phase)))})"
            for r in routings
        ]
        lines += [
            f"{f['model']}: version {f['version']} not loaded: {f['message']}" for f in failures
        ]
        return lines or ["no model is in service yet"]

    def _models(self) -> tuple[list[Routing], list[dict[str, Any]]]:
        """What is served, and what could not be loaded."""
        page = self.ask("/v1/models")
        try:
            return [_routing(model) for model in page["models"]], page.get("failures", [])
        except (AttributeError, KeyError, TypeError) as error:
            raise StackError(
                f"{self._url}/v1/models answers no list of models: {error!r}"
            ) from error


def _routing(page: dict[str, Any]) -> Routing:
    challenger = page["challenger"]
    return Routing(
        page["model"],
        page["phase"],
        page["weight"],
        page["champion"]["version"],
        challenger and challenger["version"],
        page.get("shadow", 0.0),
        page.get("rollout_id", ""),
        page["champion"].get("task", ""),
    )
