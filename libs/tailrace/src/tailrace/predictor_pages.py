"""What a running predictor says of itself, over HTTP."""

import json
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from local.stack.errors import StackError


@dataclass(frozen=True, slots=True)
class Routing:
    """Which versions of a model answer."""

    rollout_id: str
    phase: str
    weight: float
    champion: str
    challenger: str | None
    shadow: float = 0.0
    """Share of the champion's predictions that the challenger scores unseen."""

    def tell(self) -> str:
        """In a line."""
        trial = f", version {self.challenger} at {self.weight:.0%}" if self.challenger else ""
        if self.challenger and self.shadow:
            trial = f", version {self.challenger} in shadow of {self.shadow:.0%}"
        return f"{self.phase}: version {self.champion} serves{trial}"


class PredictorPages:
    """Reads the pages of one predictor.

    Args:
        url: its base URL.
        timeout: seconds for one answer.
    """

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
        for each in self.ask("/v1/models")["models"]:
            if each["model"] == model:
                trial = each["challenger"]
                return Routing(
                    each["rollout_id"],
                    each["phase"],
                    each["weight"],
                    each["champion"]["version"],
                    trial and trial["version"],
                    each.get("shadow", 0.0),
                )
        return None
