"""When the prediction cache pays: answers with and without it, for a fast model and for a slow one.

Gradient boosting of 100 trees over twelve numbers, as an ONNX file in the process and as a skops
file in a worker process, with a Valkey of its own. What is measured is `Answering`, log records
encoded and dropped; HTTP would add the same to each. The cases take turns, round after round; a
share of the questions has been asked before, the others are new and are kept.

Run: .venv/bin/python -m bench.small.prediction_cache [--rounds 5] [--seconds 0.4]
"""

import argparse
import asyncio
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import skops.io
from bench.serving.model import NUMBERS, rows, write_model
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline

from local.valkey import embedded_valkey
from predictor.adapters.features.feast_features import NoFeatures
from predictor.adapters.models.onnx_model import OnnxModel
from predictor.adapters.models.skops_model import SkopsPool
from predictor.adapters.redis_cache import RedisCache
from predictor.api.native.contract import Instance
from predictor.domain.admission import Admission
from predictor.domain.features import Input, Signature
from predictor.domain.routing import Arm
from predictor.ports import Model
from predictor.serving.answering import Answering
from predictor.serving.cache import PredictionCache
from predictor.serving.routes.loaded import LoadedRoute, LoadedRoutes, LoadedVersion
from predictor.serving.stored import StoredFeatures
from servicekit.bus import Batch
from servicekit.clock import SystemClock
from servicekit.errors import ServicekitError

SHARES = (None, 0.0, 0.5, 0.9, 1.0)
"""Of questions that were asked before; None: no cache."""
CALLERS = (1, 32)
WARM = 200
"""Questions that were asked before."""
ROWS = [dict(zip(NUMBERS, row.tolist(), strict=True)) for row in rows()]


class Dropped:
    """A journal that takes everything at once."""

    stalled = False

    def write(self, batch: Batch, on_done: Callable[[int, ServicekitError | None], None]) -> int:
        """See `Journal.write`."""
        on_done(len(batch.records), None)
        return len(batch.records)


def routes(models: dict[str, Model]) -> LoadedRoutes:
    """Each model without a cache, and with one."""
    signature = Signature([Input(name, "number") for name in NUMBERS])
    found = {}
    for kind, model in models.items():
        for name, seconds in ((kind, None), (f"{kind}_cached", 600.0)):
            version = LoadedVersion(name, "1", kind, signature, model, 1.0, seconds)
            found[name] = LoadedRoute(name, "r", 0, "stable", 0.0, "s", Arm("champion", version))
    return LoadedRoutes(MappingProxyType(found))


class Load:
    """Callers that ask again as soon as they have their answers."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._new = 0

    async def ask(self, model: str, i: int, entity: str) -> float:
        """One question; how long its answer took, in seconds."""
        begun = time.perf_counter()
        question = partial(
            self._answering.submit,
            model,
            Instance(entity, ROWS[i % len(ROWS)]),
            arrived=begun,
            within=60.0,
            traceparent=None,
        )
        await self._answering.answer_all([question])
        return time.perf_counter() - begun

    async def warm(self, model: str) -> None:
        """Ask what is asked again later."""
        for i in range(WARM):
            await self.ask(model, i, f"warm{i}")

    async def run(self, kind: str, share: float | None, callers: int, seconds: float) -> tuple:
        """Answers a second, and the median time of one in milliseconds."""
        model = kind if share is None else f"{kind}_cached"
        took: list[float] = []
        begun = time.perf_counter()

        async def caller(number: int) -> None:
            asked = number
            while time.perf_counter() < begun + seconds:
                asked += 1
                i = asked * 7 % WARM
                known = asked % 10 < 10 * (share or 0.0)
                if not known:
                    self._new += 1
                took.append(await self.ask(model, i, f"warm{i}" if known else f"new{self._new}"))

        await asyncio.gather(*(caller(number) for number in range(callers)))
        return len(took) / (time.perf_counter() - begun), statistics.median(took) * 1000


async def measure(models: dict[str, Model], url: str, rounds: int, seconds: float) -> dict:
    """Medians by kind of model, share and number of callers."""
    loaded = routes(models)
    answering = Answering(
        lambda: loaded,
        StoredFeatures(NoFeatures(), timeout=1, pause=1),
        Dropped(),
        SystemClock(),
        Admission(1000, now=time.monotonic),
        PredictionCache(RedisCache(url), timeout=5.0, pause=0.0),
        max_batch=256,
    )
    load = Load(answering)
    for kind in models:
        await load.warm(f"{kind}_cached")
    cases = [(kind, share, c) for kind in models for share in SHARES for c in CALLERS]
    found: dict = {case: [] for case in cases}
    for _ in range(rounds):
        for case in cases:
            found[case].append(await load.run(*case, seconds))
    return {
        case: tuple(statistics.median(each) for each in zip(*runs, strict=True))
        for case, runs in found.items()
    }


def table(found: dict) -> str:
    """As it stands in docs/performance.md."""
    lines = [
        "| model | asked before | c = 1, answers/s | p50, ms | of no cache | c = 32, answers/s"
        " | p50, ms | of no cache |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(case[0] for case in found):
        for share in SHARES:
            cells = [kind, "no cache" if share is None else f"{share:.0%}"]
            for callers in CALLERS:
                rate, median = found[kind, share, callers]
                ratio = rate / found[kind, None, callers][0]
                cells += [f"{rate:,.0f}", f"{median:.2f}", f"{ratio:.2f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure when the prediction cache pays.")
    parser.add_argument("--rounds", type=int, default=5, help="turns that each case gets")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a case in a turn")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder)
        with (folder / "model.pickle").open("rb") as file:
            trees = pickle.load(file)
        frame = pd.DataFrame(rows()[:10], columns=NUMBERS)
        numbers = ColumnTransformer([("numbers", "passthrough", NUMBERS)]).fit(frame)
        skops.io.dump(Pipeline([("numbers", numbers), ("trees", trees)]), folder / "model.skops")
        pool = SkopsPool(workers=1, timeout_seconds=60, max_batches=1000, trusted_types=())
        inputs = [Input(each, "number") for each in NUMBERS]
        models = {
            "onnx": OnnxModel(folder / "model.onnx", inputs),
            "skops": pool.open(folder / "model.skops", inputs),
        }
        try:
            with embedded_valkey(folder) as url:
                print(table(asyncio.run(measure(models, url, chosen.rounds, chosen.seconds))))
        finally:
            pool.close()


if __name__ == "__main__":
    main()
