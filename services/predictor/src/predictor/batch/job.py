"""Scores a table: rows in, one row a prediction out, a batch at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from itertools import chain
from typing import Any, Literal

from event_schemas.task import Target
from predictor.batch.delta_rows import DeltaRows, holds, write_rows
from predictor.batch.lake_features import LakeFeatures
from predictor.batch.rows import TableRows
from predictor.batch.versions import Versions
from predictor.domain.answer import Answer
from predictor.domain.batching import grouped
from predictor.domain.errors import RefusalError, ScoreError
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.scoring import outcomes
from servicekit.event import derived_id
from stores.delta import seconds

RUN = "score_run"
"""Column of the output that names the run; the same run is never written twice."""


@dataclass(frozen=True, kw_only=True)
class ScoreJob:
    """Which table to score, and how."""

    model: str
    input: DeltaRows
    output: str
    mode: Literal["error", "append", "overwrite"] = "error"
    id_column: str = "event_id"
    entity_column: str | None = None
    """None: the id serves."""
    time_column: str = "event_time"
    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of a feature, where it has another name."""
    keep: tuple[str, ...] = ()
    """Columns that are carried over."""
    max_errors: int = 0
    batch_rows: int = 10_000
    max_rows: int = 256


@dataclass
class Progress:
    """How far a run is; changes as it goes."""

    total: int
    done: int = 0
    failed: int = 0
    gaps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Stored values that a model did not get, by feature and reason."""


class ScoreRun:
    """One run of a job.

    Args:
        job: what to do.
        versions: who scores.
        features: where stored features come from; None: from columns of the table.

    Raises:
        ScoreError: the table lacks a column.
    """

    def __init__(self, job: ScoreJob, versions: Versions, features: LakeFeatures | None) -> None:
        self._job = job
        self._versions = versions
        self._features = features
        self._inputs = {
            each.name: job.columns.get(each.name, each.name)
            for version in versions.by_arm.values()
            for each in version.signature.inputs
            if not each.stored or features is None
        }
        self._require_one_task()
        self._require_columns()
        self.defaulted = self._absent_features()
        """Features that the table lacks, and that have defaults."""
        parts = [
            job.model,
            *(f"{arm}={v.version}:{v.sha256}" for arm, v in sorted(versions.by_arm.items())),
            versions.salt,
            f"{job.input.uri}@{job.input.version}",
            job.id_column,
            job.entity_column or "",
            job.time_column,
            "lake" if features else "table",
            *(f"{name}={column}" for name, column in sorted(job.columns.items())),
            *job.keep,
            str(job.input.range),
        ]
        self.id = blake2b("|".join(parts).encode(), digest_size=8).hexdigest()
        self._rows = TableRows(self._inputs, job.time_column, features)
        self.progress = Progress(0, gaps=self._rows.gaps)

    def is_done(self) -> bool:
        """Whether the output holds this very run.

        Raises:
            ScoreError: the output exists, and may not be changed.
            LoadError: it is no table of predictions.
            UnavailableError: the lake is away.
        """
        job = self._job
        found = holds(job.output, RUN, self.id)
        if found is None:
            return False
        if found and job.mode != "overwrite":
            return True
        if job.mode == "error":
            raise ScoreError(
                f"--output {job.output} is there already: name another, or choose --mode append or"
                " --mode overwrite"
            )
        return False

    def run(self, on_batch: Callable[[Progress], None]) -> Progress:
        """Score and write, in one commit; `on_batch` is called after each batch.

        Raises:
            ScoreError: more rows than are allowed cannot be scored; nothing was written.
            LoadError: a table lacks something.
            UnavailableError: the lake is away.
        """
        job = self._job
        self.progress.total = job.input.count()
        if self._features is not None:
            self._features.read(job.input.last() or 0.0)
        names = [job.id_column, job.time_column, *job.keep]
        if job.entity_column is not None:
            names.append(job.entity_column)
        names += [column for column in self._inputs.values() if column in job.input.columns]

        def batches() -> Iterator[Any]:
            for batch in job.input.batches(list(dict.fromkeys(names)), job.batch_rows):
                if batch.num_rows:
                    yield self._predictions(batch)
                    on_batch(self.progress)

        write_rows(job.output, self._schema, batches, job.mode)
        return self.progress

    @property
    def _target(self) -> Target:
        """What the model answers, by the first of its versions."""
        return next(iter(self._versions.by_arm.values())).target

    @cached_property
    def _schema(self) -> Any:
        """Of the output."""
        import pyarrow as pa

        job = self._job
        own = [
            pa.field("prediction_id", pa.string(), nullable=False),
            pa.field("row_id", pa.string(), nullable=False),
            pa.field("entity_id", pa.string(), nullable=False),
            pa.field("event_time", pa.timestamp("us", "UTC")),
            pa.field("model", pa.string(), nullable=False),
            pa.field("version", pa.string(), nullable=False),
            pa.field("arm", pa.string(), nullable=False),
            *_answer_fields(self._target),
            pa.field("error", pa.string()),
            pa.field(RUN, pa.string(), nullable=False),
        ]
        if twice := sorted({each.name for each in own} & set(job.keep)):
            raise ScoreError(f"--keep {', '.join(twice)}: the output has a column of that name")
        return pa.schema([*own, *(pa.field(name, job.input.kind(name)) for name in job.keep)])

    def _require_one_task(self) -> None:
        """Raise ScoreError when the versions answer different things, which share no column."""
        named = {(v.target.task, bool(v.target.classes)): v for v in self._versions.by_arm.values()}
        if len(named) > 1:
            tasks = " and ".join(f"{v.version} a {v.target.task} one" for v in named.values())
            raise ScoreError(
                f"--model {self._job.model}: version {tasks}, whose answers differ: choose --arm"
                " champion, or a --version"
            )

    def _require_columns(self) -> None:
        """Raise ScoreError when an option names a column that the table or model has not."""
        job, present = self._job, self._job.input.columns
        if unknown := sorted(job.columns.keys() - self._inputs.keys()):
            raise ScoreError(
                f"--column {unknown[0]}={job.columns[unknown[0]]}: the model takes no such feature"
                f" from the table; it takes {', '.join(sorted(self._inputs))}"
            )
        for option, name in (
            ("--id-column", job.id_column),
            ("--entity-column", job.entity_column),
            *(("--keep", name) for name in job.keep),
        ):
            if name is not None and name not in present:
                raise ScoreError(
                    f"{option} {name}: {job.input.uri} has no such column; it has"
                    f" {', '.join(sorted(present))}"
                )

    def _absent_features(self) -> list[str]:
        """The features that the table lacks; raise ScoreError when one of them is required."""
        job, versions = self._job, self._versions.by_arm.values()
        absent = {name for name, column in self._inputs.items() if column not in job.input.columns}
        required = {each.name for v in versions for each in v.signature.inputs if each.required}
        if lacking := sorted(absent & required):
            columns = ", ".join(self._inputs[name] for name in lacking)
            numbers = ", ".join(sorted(version.version for version in versions))
            lake = "" if self._features else ", or take stored ones from the lake (--features lake)"
            raise ScoreError(
                f"{job.input.uri} lacks {columns}, which version {numbers} of {job.model} takes:"
                f" say with --column FEATURE=COLUMN where it lies{lake}"
            )
        return sorted(absent)

    def _predictions(self, batch: Any) -> Any:
        """The predictions of a batch, a row for each of its rows."""
        import pyarrow as pa

        job = self._job
        ids = self._ids(batch)
        entities = ids
        if job.entity_column is not None:
            given = batch.column(job.entity_column).to_pylist()
            entities = ["" if value is None else str(value) for value in given]
        moments = _moments(batch.column(job.time_column))
        chosen = [self._versions.of(entity) for entity in entities]
        found = self._outcomes(batch, moments, [version for _, version in chosen])
        self._count(ids, found)
        own = {
            "prediction_id": [
                derived_id(f"{job.input.uri}|{row}|{job.model}|{version.version}", "prediction")
                for row, (_, version) in zip(ids, chosen, strict=True)
            ],
            "row_id": ids,
            "entity_id": entities,
            "event_time": [None if m is None else round(m * 1e6) for m in moments],
            "model": [job.model] * len(ids),
            "version": [version.version for _, version in chosen],
            "arm": [arm for arm, _ in chosen],
            **_answer_columns(self._target, [version for _, version in chosen], found),
            "error": [
                f"{o.code}: {o.message}" if isinstance(o, RefusalError) else None for o in found
            ],
            RUN: [self.id] * len(ids),
        }
        arrays = [
            batch.column(each.name)
            if each.name in job.keep
            else pa.array(own[each.name], each.type)
            for each in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _ids(self, batch: Any) -> list[str]:
        ids = batch.column(self._job.id_column).to_pylist()
        if None in ids:
            raise ScoreError(
                f"--id-column {self._job.id_column}: a row has none; name a column that tells the"
                " rows apart"
            )
        return [str(value) for value in ids]

    def _outcomes(
        self, batch: Any, moments: Sequence[float | None], versions: Sequence[LoadedVersion]
    ) -> list[Answer | RefusalError]:
        """What the version of each row says of it, or why it says nothing."""
        import pyarrow as pa

        found: list[Answer | RefusalError] = [0.0] * len(versions)
        most = self._job.max_rows
        for version, places in grouped((v, at) for at, v in enumerate(versions)).items():
            part = batch if len(places) == len(versions) else batch.take(pa.array(places))
            rows = self._rows.of(version.signature, part, [moments[at] for at in places])
            whole = [row for row in rows if not isinstance(row, RefusalError)]
            runs = (outcomes(version, whole[at : at + most]) for at in range(0, len(whole), most))
            scores = chain.from_iterable(runs)
            for at, row in zip(places, rows, strict=True):
                found[at] = row if isinstance(row, RefusalError) else next(scores)
        return found

    def _count(self, ids: list[str], found: Sequence[Answer | RefusalError]) -> None:
        """Count the rows of a batch; raise ScoreError when too many of the run have failed."""
        failures = [(i, o) for i, o in zip(ids, found, strict=True) if isinstance(o, RefusalError)]
        self.progress.done += len(ids)
        self.progress.failed += len(failures)
        if self.progress.failed > self._job.max_errors:
            row, error = failures[0]
            raise ScoreError(
                f"{self.progress.failed} of the first {self.progress.done} rows cannot be scored,"
                f" e.g. {self._job.id_column}={row}: {error.message}. Nothing was written. Mend the"
                " rows, or let --max-errors N of them be written with their `error` and no score"
            )


def _answer_fields(target: Target) -> list[Any]:
    """The columns that hold answers."""
    import pyarrow as pa

    if target.task == "regression":
        return [pa.field("prediction", pa.float64())]
    decided = pa.field("prediction", pa.string() if target.classes else pa.int8())
    if target.task == "binary":
        return [decided, pa.field("probability", pa.float64())]
    return [decided, pa.field("probabilities", pa.map_(pa.string(), pa.float64()))]


def _answer_columns(
    target: Target, versions: Sequence[LoadedVersion], found: Sequence[Answer | RefusalError]
) -> dict[str, list[Any]]:
    """The values of these columns; none where a row has no answer."""
    given = [None if isinstance(each, RefusalError) else each for each in found]
    pairs = list(zip(versions, given, strict=True))
    columns: dict[str, list[Any]] = {
        "prediction": [None if a is None else v.answers.decide(a).prediction for v, a in pairs]
    }
    if target.task == "binary":
        columns["probability"] = given
    if target.task == "multiclass":
        columns["probabilities"] = [
            None if a is None else list(v.answers.by_name(a).items()) for v, a in pairs
        ]
    return columns


def _moments(column: Any) -> list[float | None]:
    if column.null_count == 0:
        return list(seconds(column))
    known = iter(seconds(column.drop_null()))
    return [next(known) if valid else None for valid in column.is_valid().to_pylist()]
