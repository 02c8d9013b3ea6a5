"""Scores a table: rows in, one row a prediction out, a batch at a time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any, Literal

from predictor.batch.delta_rows import DeltaRows, holds, write_rows
from predictor.batch.errors import ScoreError
from predictor.batch.lake_features import LakeFeatures
from predictor.batch.rows import Row, TableRows
from predictor.domain.answer import predicted_class
from predictor.domain.batching import grouped
from predictor.domain.errors import RefusalError
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.scoring import outcomes
from servicekit.event import derived_id
from stores.delta import seconds

RUN = "score_run"
"""Column of the output that names the run; the same run is never written twice."""

Chosen = Callable[[str], tuple[str, LoadedVersion]]
"""Arm and version for an entity."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be scored, and how."""

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
    """How far it is; changes as it goes."""

    total: int
    done: int = 0
    failed: int = 0
    gaps: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Stored values that a model did not get, by feature and reason."""


class TableScorer:
    """One run."""

    def __init__(
        self,
        job: Job,
        versions: Mapping[str, LoadedVersion],
        choose: Chosen,
        features: LakeFeatures | None,
        *,
        salt: str = "",
    ) -> None:
        """Checks the columns.

        Args:
            job: what is to be done.
            versions: all that may be chosen, by arm.
            choose: who scores an entity.
            features: where stored features come from; None: from columns of the table.
            salt: of the rollout, where it chooses.

        Raises:
            ScoreError: the table lacks a column.
        """
        self._job = job
        self._choose = choose
        self._features = features
        self._versions = versions
        self._inputs = {
            each.name: job.columns.get(each.name, each.name)
            for version in versions.values()
            for each in version.signature.inputs
            if not each.stored or features is None
        }
        self.defaulted = self._check()
        """Features that the table lacks, and that have defaults."""
        parts = [
            job.model,
            *(f"{arm}={v.version}:{v.sha256}" for arm, v in sorted(versions.items())),
            salt,
            f"{job.input.uri}@{job.input.version}",
            job.id_column,
            job.entity_column or "",
            job.time_column,
            "lake" if features else "table",
            *(f"{name}={column}" for name, column in sorted(job.columns.items())),
            *job.keep,
            str(job.input.range),
        ]
        self.run_id = blake2b("|".join(parts).encode(), digest_size=8).hexdigest()
        self._rows = TableRows(self._inputs, job.time_column, features)
        self.progress = Progress(0)

    def is_done(self) -> bool:
        """Whether the output holds this very run.

        Raises:
            ScoreError: the output is there, and may not be changed.
            LoadError: it is no table of predictions.
            UnavailableError: the lake is away.
        """
        job = self._job
        found = holds(job.output, RUN, self.run_id)
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

    def run(self, tell: Callable[[Progress], None]) -> Progress:
        """Score and write, in one commit.

        Args:
            tell: called after each batch.

        Raises:
            ScoreError: more rows than are allowed cannot be scored; nothing was written.
            LoadError: a table lacks something.
            UnavailableError: the lake is away.
        """
        job = self._job
        self.progress = Progress(job.input.count(), gaps=self._rows.gaps)
        if self._features is not None:
            last = job.input.last()
            self._features.read(last if last is not None else 0.0)

        def batches() -> Iterator[Any]:
            for batch in job.input.batches(self._wanted(), job.batch_rows):
                if batch.num_rows:
                    yield self._score(batch)
                    tell(self.progress)

        write_rows(job.output, self.schema, batches, job.mode)
        return self.progress

    @property
    def schema(self) -> Any:
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
            pa.field("prediction", pa.int8()),
            pa.field("probability", pa.float64()),
            pa.field("error", pa.string()),
            pa.field(RUN, pa.string(), nullable=False),
        ]
        if twice := sorted({each.name for each in own} & set(job.keep)):
            raise ScoreError(f"--keep {', '.join(twice)}: the output has a column of that name")
        return pa.schema([*own, *(pa.field(name, job.input.kind(name)) for name in job.keep)])

    def _check(self) -> list[str]:
        job, there = self._job, self._job.input.columns
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
            if name is not None and name not in there:
                raise ScoreError(
                    f"{option} {name}: {job.input.uri} has no such column; it has"
                    f" {', '.join(sorted(there))}"
                )
        required = {
            each.name
            for version in self._versions.values()
            for each in version.signature.inputs
            if each.required
        }
        missing = {name for name, column in self._inputs.items() if column not in there}
        if lacking := sorted(missing & required):
            columns = ", ".join(self._inputs[name] for name in lacking)
            numbers = ", ".join(sorted(version.version for version in self._versions.values()))
            lake = "" if self._features else ", or take stored ones from the lake (--features lake)"
            raise ScoreError(
                f"{job.input.uri} lacks {columns}, which version {numbers} of {job.model} takes:"
                f" say with --column FEATURE=COLUMN where it lies{lake}"
            )
        return sorted(missing)

    def _wanted(self) -> list[str]:
        job = self._job
        names = [job.id_column, job.time_column, *job.keep]
        if job.entity_column is not None:
            names.append(job.entity_column)
        names += [c for c in self._inputs.values() if c in job.input.columns]
        return list(dict.fromkeys(names))

    def _score(self, batch: Any) -> Any:
        """The predictions of a batch."""
        import pyarrow as pa

        job = self._job
        ids = [self._id(value) for value in batch.column(job.id_column).to_pylist()]
        entities = ids
        if job.entity_column is not None:
            given = batch.column(job.entity_column).to_pylist()
            entities = ["" if value is None else str(value) for value in given]
        moments = _moments(batch.column(job.time_column))
        chosen = [self._choose(entity) for entity in entities]
        found: list[float | RefusalError] = [0.0] * len(ids)
        by_version = grouped((version, at) for at, (_, version) in enumerate(chosen))
        for version, places in by_version.items():
            part = batch if len(places) == len(ids) else batch.take(pa.array(places))
            made = self._rows.of(version.signature, part, [moments[at] for at in places])
            for at, outcome in zip(places, self._outcomes(version, made), strict=True):
                found[at] = outcome
        self._count(ids, found)
        scores = [None if isinstance(o, RefusalError) else o for o in found]
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
            "prediction": [None if s is None else predicted_class(s) for s in scores],
            "probability": scores,
            "error": [
                f"{o.code}: {o.message}" if isinstance(o, RefusalError) else None for o in found
            ],
            RUN: [self.run_id] * len(ids),
        }
        arrays = [pa.array(own[each.name], each.type) for each in list(self.schema)[: len(own)]]
        arrays += [batch.column(name) for name in job.keep]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _outcomes(
        self, version: LoadedVersion, made: Sequence[Row | RefusalError]
    ) -> list[float | RefusalError]:
        """What a version says of each row, or why there is no row."""
        rows = [row for row in made if not isinstance(row, RefusalError)]
        most = self._job.max_rows
        runs = (outcomes(version, rows[at : at + most]) for at in range(0, len(rows), most))
        given = chain.from_iterable(runs)
        return [row if isinstance(row, RefusalError) else next(given) for row in made]

    def _id(self, value: Any) -> str:
        if value is None:
            raise ScoreError(
                f"--id-column {self._job.id_column}: a row has none; name a column that tells the"
                " rows apart"
            )
        return str(value)

    def _count(self, ids: list[str], found: list[float | RefusalError]) -> None:
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


def _moments(column: Any) -> list[float | None]:
    if column.null_count == 0:
        return list(seconds(column))
    known = iter(seconds(column.drop_null()))
    return [next(known) if valid else None for valid in column.is_valid().to_pylist()]
