"""Versions that are no ONNX file, answered by real processes."""

import asyncio
import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pandas as pd
import pytest
from services.predictor.tests.lab import Features, Json, Lab, error

from event_schemas.model import ModelVersion
from predictor.adapters.models.skops_model import SkopsModel, SkopsPool
from predictor.adapters.models.skops_worker import File
from predictor.domain.answer import Answer
from predictor.domain.errors import CannotAnswerError, LoadError, ModelFailedError
from predictor.domain.features import Input, Value
from predictor.serving.routes.loaded import inputs
from stores.child import Child

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

pytestmark = pytest.mark.integration

ROWS = pd.DataFrame(
    {
        "carrier": np.array(["UA", "AA"] * 100, object),
        "origin": np.array(["EWR"] * 100 + ["JFK"] * 100, object),
        "hour": np.linspace(0, 23, 200, dtype=np.float32),
    }
)


def pipeline() -> "Pipeline":
    """Trees with categories of their own, which convert to ONNX without a word and wrongly."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = ColumnTransformer(
        [("c", encode, ["carrier", "origin"]), ("n", "passthrough", ["hour"])]
    )
    trees = HistGradientBoostingClassifier(
        categorical_features=[0, 1],  # pyright: ignore[reportArgumentType] - its stub says str
        max_iter=5,
    )
    late = (ROWS["carrier"] == "UA") ^ (ROWS["hour"] > 12)
    return make_pipeline(columns, trees).fit(ROWS, late)


@pytest.fixture(scope="module")
def fitted() -> "Pipeline":
    return pipeline()


@pytest.fixture(scope="module")
def file(fitted: "Pipeline", tmp_path_factory: pytest.TempPathFactory) -> Path:
    import skops.io

    path = tmp_path_factory.mktemp("skops") / "model.skops"
    skops.io.dump(fitted, path)
    return path


def values() -> list[list[Value]]:
    return [[str(c), str(o), float(h)] for c, o, h in ROWS.itertuples(index=False)]


@pytest.fixture(scope="module")
def pool() -> Iterator[SkopsPool]:
    """One process for all tests of this page but those that ask for other limits."""
    pool = SkopsPool()
    yield pool
    pool.close()


@pytest.fixture
def wanted(requested: Features) -> tuple[Input, ...]:
    return inputs(requested)


def test_it_answers_as_the_pipeline_that_was_written(
    pool: SkopsPool, file: Path, fitted: "Pipeline", wanted: tuple[Input, ...]
) -> None:
    found = pool.open(file, wanted).answers(values())
    assert found == fitted.predict_proba(ROWS)[:, 1].tolist()


def test_missing_values_are_nan_and_empty_text_as_in_training(
    pool: SkopsPool, file: Path, fitted: "Pipeline", wanted: tuple[Input, ...]
) -> None:
    found = pool.open(file, wanted).answers([[None, None, None]])
    frame = pd.DataFrame({"carrier": [""], "origin": [""], "hour": np.array([np.nan], np.float32)})
    assert found == fitted.predict_proba(frame)[:, 1].tolist()


def test_fault_4_3_a_model_that_takes_no_missing_value_is_opened(
    pool: SkopsPool, tmp_path: Path
) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    path = tmp_path / "model.skops"
    rows = pd.DataFrame({"a": np.arange(10, dtype=np.float32), "b": np.ones(10, np.float32)})
    skops.io.dump(LogisticRegression().fit(rows, rows["a"] > 4), path)
    for required in (True, False):
        numbers = [Input(name, "number", required=required) for name in ("a", "b")]
        model = pool.open(path, numbers)
        (score,) = model.answers([[9.0, 1.0]])
        assert isinstance(score, float)
        assert score > 0.5
    with pytest.raises(LoadError, match="no trial row is answered: "):
        pool.open(path, [Input("a", "number"), Input("c", "number")])


def test_a_type_that_nobody_trusts_is_named_and_nothing_of_it_is_run(
    pool: SkopsPool, tmp_path: Path, wanted: tuple[Input, ...]
) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    path = tmp_path / "model.skops"
    skops.io.dump(FunctionTransformer(os.getenv), path)
    with pytest.raises(LoadError, match=r"os\.getenv.*nobody trusts") as caught:
        pool.open(path, wanted)
    assert caught.value.reason == "untrusted"


@pytest.mark.parametrize("depth", [1, 2])
def test_a_partial_is_trusted_only_with_the_function_in_it(
    pool: SkopsPool, tmp_path: Path, wanted: tuple[Input, ...], depth: int
) -> None:
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    ran = tmp_path / "ran"
    function: Callable[[], object] = partial(os.mkdir, str(ran))
    for _ in range(1, depth):
        function = partial(function)
    path = tmp_path / "model.skops"
    skops.io.dump(FunctionTransformer(function), path)
    with pytest.raises(LoadError, match=r"posix\.mkdir, which nobody trusts") as caught:
        pool.open(path, wanted)
    assert caught.value.reason == "untrusted"
    assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "reason"), [(b"\x00" * 100, "unreadable"), (None, "signature")]
)
def test_what_is_no_classifier_is_refused(
    pool: SkopsPool, tmp_path: Path, wanted: tuple[Input, ...], content: bytes | None, reason: str
) -> None:
    import skops.io
    from sklearn.preprocessing import StandardScaler

    path = tmp_path / "model.skops"
    if content is None:
        skops.io.dump(StandardScaler(), path)
    else:
        path.write_bytes(content)
    with pytest.raises(LoadError) as caught:
        pool.open(path, wanted)
    assert caught.value.reason == reason


def test_a_process_that_starts_later_loads_only_the_file_that_was_checked(
    pool: SkopsPool, file: Path, tmp_path: Path, wanted: tuple[Input, ...]
) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(file.read_bytes())
    model = pool.open(path, wanted)
    path.write_bytes(path.read_bytes() + b"more")
    kill()
    with pytest.raises(LoadError, match="sha256") as caught:
        until_answered(model)
    assert caught.value.reason == "sha256"


def processes() -> set[int]:
    """The processes of all pools."""
    return {p.pid for p in multiprocessing.active_children() if p.pid is not None}


def kill() -> set[int]:
    """Kill each process; what it has dies with it."""
    killed = processes()
    for process in killed:
        os.kill(process, signal.SIGKILL)
    return killed


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The batches that processes have taken."""
    found: list[object] = []
    receive = Child._receive

    def received(self: Child, pipe: Connection, seconds: float) -> object:
        found.append(self)
        return receive(self, pipe, seconds)

    monkeypatch.setattr(Child, "_receive", received)
    return found


def until_answered(model: SkopsModel) -> Sequence[Answer]:
    """Scores of one row; a process that was just killed may fail the first batches."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return model.answers(values()[:1])
        except CannotAnswerError:
            assert time.monotonic() < deadline, "no process took the place of the killed one"


def test_a_killed_process_is_replaced_and_fails_only_the_batch_that_it_had(
    pool: SkopsPool, file: Path, fitted: "Pipeline", wanted: tuple[Input, ...], asked: list[object]
) -> None:
    model = pool.open(file, wanted)
    asked.clear()
    under_way = model.submit(values() * 2000)
    deadline = time.monotonic() + 10
    while not asked:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    killed = kill()
    with pytest.raises(CannotAnswerError) as caught:
        under_way.result(30)
    assert caught.value.code == "model_lost"
    assert not isinstance(caught.value, ModelFailedError), "the version is not to blame"
    assert until_answered(model) == fitted.predict_proba(ROWS[:1])[:, 1].tolist()
    assert killed
    assert not processes() & killed


def test_a_batch_that_takes_too_long_is_stopped(file: Path, wanted: tuple[Input, ...]) -> None:
    pool = SkopsPool(timeout_seconds=0.5)  # a million rows take longer, and one row never does
    try:
        model = pool.open(file, wanted)
        with pytest.raises(CannotAnswerError, match=r"longer than 0\.5 s") as caught:
            model.answers(values() * 5000)
        assert caught.value.code == "model_lost"
        assert until_answered(model)
    finally:
        pool.close()


def test_batches_beyond_the_limit_are_turned_away_at_once(
    file: Path, wanted: tuple[Input, ...]
) -> None:
    pool = SkopsPool(max_batches=2)
    try:
        model = pool.open(file, wanted)
        waiting = [model.submit(values() * 100) for _ in range(2)]
        with pytest.raises(CannotAnswerError, match="2 batches wait for scikit-learn, of 2") as e:
            model.submit(values())
        assert e.value.code == "overloaded"
        assert [len(each.result(30)) for each in waiting] == [20_000, 20_000]
        assert len(model.answers(values())) == 200
    finally:
        pool.close()


def test_one_bad_row_does_not_fail_its_neighbours(
    pool: SkopsPool, file: Path, wanted: tuple[Input, ...]
) -> None:
    good, bad = values()[0], ["UA", "EWR", "noon"]
    answers = pool.open(file, wanted).submit([good, bad, good]).result(30)
    assert isinstance(answers[1], ModelFailedError)
    assert answers[0] == answers[2]


def test_its_processes_end_with_the_service_even_when_that_is_killed(
    file: Path, wanted: tuple[Input, ...], tmp_path: Path
) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        textwrap.dedent(f"""
        import multiprocessing
        import sys
        from pathlib import Path
        from predictor.adapters.models.skops_model import SkopsPool
        from predictor.domain.features import Input

        if __name__ == "__main__":
            pool = SkopsPool()
            names = {[(each.name, each.kind) for each in wanted]}
            pool.open(Path({str(file)!r}), [Input(*each) for each in names])
            print(*(p.pid for p in multiprocessing.active_children()), flush=True)
            sys.stdin.read()
        """)
    )
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        (worker,) = map(int, service.stdout.readline().split())
        service.kill()
    deadline = time.monotonic() + 15
    while alive(worker):
        assert time.monotonic() < deadline, "the process outlived its service"
        time.sleep(0.05)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def version(lab: Lab, file: Path) -> Callable[..., ModelVersion]:
    """Versions of the served model that are this file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return lambda number, **artifact: lab.version(
        number, **{"uri": str(file), "sha256": digest, "format": "skops", **artifact}
    )


def test_it_is_served_and_logged_beside_an_onnx_version_behind_the_same_port(
    lab: Lab, version: Callable[..., ModelVersion], fitted: "Pipeline", body: Json
) -> None:
    lab.announce(lab.step(0, lab.version(1), version(2), weight=0.5))

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        async with lab.app.router.lifespan_context(lab.app):
            return await asyncio.gather(
                *(client.post("/predict", json={**body, "entity_id": str(i)}) for i in range(40))
            )

    answers = [answer.json() for answer in lab.run(talk)]
    frame = pd.DataFrame(
        {"carrier": ["UA"], "origin": ["EWR"], "hour": np.array([0.5], np.float32)}
    )
    expected: dict[str, object] = {
        "2": fitted.predict_proba(frame)[0, 1],
        "1": pytest.approx(1 / (1 + np.exp(-1.5)), abs=1e-6),
    }
    assert {answer["version"] for answer in answers} == expected.keys()
    assert all(logged.score == expected[logged.version] for logged in lab.logged())
    assert sorted(logged.sequence for logged in lab.logged()) == [*range(40)]


def test_a_request_whose_process_is_killed_is_answered_503_and_logged(
    lab: Lab,
    version: Callable[..., ModelVersion],
    body: Json,
    asked: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab.announce(lab.step(0, version(1)))
    asked.clear()
    submit = SkopsPool.submit
    long = [True]

    def submitted(self: SkopsPool, file: File, rows: Sequence[Sequence[Value]]) -> object:
        return submit(self, file, [*rows] * (400_000 if long else 1))

    monkeypatch.setattr(SkopsPool, "submit", submitted)

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        async with lab.app.router.lifespan_context(lab.app):
            request = asyncio.create_task(client.post("/predict", json=body))
            async with asyncio.timeout(10):
                while not asked:  # noqa: ASYNC110 - no event tells of it
                    await asyncio.sleep(0.001)
            kill()
            lost = await request
            long.clear()
            return [lost, await client.post("/predict", json=body)]

    lost, next_one = lab.run(talk)
    assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")
    assert lost.json()["error"]["code"] == "model_lost"
    assert next_one.status_code == 200
    first, second = lab.logged()
    assert error(first).startswith("model_lost: the process of the model died")
    assert second.error is None


def test_a_skops_file_with_another_sha256_is_not_opened(
    lab: Lab, version: Callable[..., ModelVersion]
) -> None:
    before = processes()
    lab.announce(lab.step(0, version(1, sha256="0" * 64)))
    assert lab.follower.failures["flight_delay"].reason == "sha256"
    assert processes() == before
