"""`tailrace smoke`: does a predictor that was just deployed answer as it should?"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from local.errors import StackError
from tailrace.commands.terminal import out
from tailrace.predictor import PredictorPages

ANSWERED = ("prediction_id", "prediction", "confidence", "version", "arm", "latency_ms")


def smoke(
    url: Annotated[str, typer.Option(help="The predictor, e.g. https://models.example.org.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model that has to be served; may be repeated.")
    ] = None,
    request: Annotated[
        Path | None,
        typer.Option(help="JSON file with the body of a POST /predict to try.", exists=True),
    ] = None,
) -> None:
    """Check a predictor from outside: its health, its models, and a prediction.

    The exit code is 0 when all is well, and 1 with the reason when it is not.
    """
    pages = PredictorPages(url)
    health = pages.ask("/health")
    if health["status"] != "ok":
        raise StackError(f"{url} is {health['status']}: {json.dumps(health['failures'])}")
    out.print(f"[green]✓[/] {url} is ready", soft_wrap=True)
    for name in model or ():
        routing = pages.routing(name)
        if routing is None:
            served = ", ".join(health["models"]) or "no model"
            raise StackError(f"{url} does not serve {name}; it serves {served}")
        out.print(f"[green]✓[/] {name} is {routing}", soft_wrap=True)
    if request is not None:
        _predict(pages, request)


def _predict(pages: PredictorPages, file: Path) -> None:
    try:
        body: Any = json.loads(file.read_text())
    except ValueError as error:
        raise StackError(f"--request {file} is no JSON: {error}") from None
    answer = pages.ask("/predict", body)
    if missing := [name for name in ANSWERED if name not in answer]:
        raise StackError(f"the answer lacks {', '.join(missing)}: {json.dumps(answer)}")
    out.print(
        f"[green]✓[/] version {answer['version']} ({answer['arm']}) predicts"
        f" {answer['prediction']} with confidence {answer['confidence']:.2f}"
        f" in {answer['latency_ms']:.1f} ms",
        soft_wrap=True,
    )
