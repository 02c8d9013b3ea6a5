"""`tailrace score`: scores a table of the lake into another."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from predictor.adapters.features.feast_features import NoFeatures
from predictor.adapters.features.feast_registry import FeastRegistry
from predictor.adapters.models.onnx_model import OnnxModel
from predictor.adapters.models.skops_model import SkopsPool
from predictor.app import artifacts_of
from predictor.batch.delta_rows import DeltaRows
from predictor.batch.job import ScoreJob, ScoreRun
from predictor.batch.lake_features import LakeFeatures
from predictor.batch.progress import ProgressLine
from predictor.batch.versions import Versions, load_versions
from predictor.domain.errors import LoadError, ScoreError
from predictor.domain.features import Ref
from predictor.ports import Artifacts
from predictor.serving.routes.loader import Loader, settle_memory
from predictor.settings import ScoreSettings
from servicekit.bus import Bus
from servicekit.command import describe
from servicekit.errors import UnavailableError
from servicekit.settings import load_settings
from stores.feast import redis_online_store
from stores.storage import inside

DOES = """\
Score a table of the lake with the version in force, and write one row a prediction into another
table. Rows go through the same checks, features and model as requests do. All of it is committed at
once, or nothing; a run that was written before is not written again."""

EXAMPLES = """\
examples:
  tailrace score --model flight_delay --input flights --output flights_scored \\
      --time-column scheduled_departure
  tailrace score --model flight_delay --input flights --output march --since 2013-03-01 \\
      --until 2013-04-01 --version 3 --keep arrival_delay --keep carrier

The output has prediction_id (the same whenever a version scores the same row), row_id, entity_id,
event_time, model, version, arm, prediction, probability, error, score_run, and --keep. Predictions
of a batch are not in prediction.logged: drift and canaries are judged on what callers asked.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    options = _parser().parse_args(arguments)
    settings = load_settings(ScoreSettings)
    from servicekit.kafka import bus_from

    try:
        return score(options, settings, bus_from(settings), artifacts_of(settings))
    except (ScoreError, LoadError, UnavailableError) as error:
        _say(f"✗ {error}")
        return 1
    except KeyboardInterrupt:
        _say("✗ stopped: nothing was written")
        return 130


def score(
    options: argparse.Namespace, settings: ScoreSettings, bus: Bus, artifacts: Artifacts
) -> int:
    """Score a table; returns the exit code.

    Raises:
        ScoreError: whoever asked has to change something.
        LoadError: a version or a table is not as it has to be.
        UnavailableError: brokers, MLflow, lake or feature registry are away.
    """
    job = _job(options, settings)
    repo = settings.feast_repo
    store = {} if repo is None else redis_online_store(settings.redis_url)
    lake = LakeFeatures(FeastRegistry(repo or "", store), settings.lake_uri)
    features = NoFeatures() if repo is None else _Prepared(lake.prepare)
    if options.features == "table":
        lake, features = None, _Prepared(lambda lookups: None)  # the run checks the columns
    skops = SkopsPool(
        workers=settings.skops_workers,
        timeout_seconds=settings.skops_timeout_seconds,
        max_batches=settings.skops_max_batches,
        trusted_types=settings.skops_trusted_types,
    )
    try:
        formats = {"onnx": OnnxModel, "skops": skops.open}
        loader = Loader(artifacts, features, formats)
        artifacts.warm_up()
        versions = load_versions(bus, loader, job.model, options.arm, options.version)
        return _run(ScoreRun(job, versions, lake), versions, job.output)
    finally:
        skops.close()


def _job(options: argparse.Namespace, settings: ScoreSettings) -> ScoreJob:
    table = DeltaRows(
        _uri(settings, options.input),
        options.input_version,
        time=options.time_column,
        since=options.since,
        until=options.until,
    )
    output = _uri(settings, options.output)
    if output == table.uri:
        raise ScoreError(f"--output {options.output} is the table that is read: name another")
    return ScoreJob(
        model=options.model,
        input=table,
        output=output,
        mode=options.mode,
        id_column=options.id_column,
        entity_column=options.entity_column,
        time_column=options.time_column,
        columns=dict(options.column),
        keep=tuple(options.keep),
        max_errors=options.max_errors,
        batch_rows=options.batch_rows,
        max_rows=settings.max_rows,
    )


def _run(run: ScoreRun, versions: Versions, output: str) -> int:
    if run.is_done():
        _say(f"✓ {output} holds this run already ({run.id}): nothing to do")
        return 0
    who = ", ".join(f"version {v.version} ({arm})" for arm, v in versions.by_arm.items())
    _say(f"scoring with {who}")
    if run.defaulted:
        _say(f"the table has no {', '.join(run.defaulted)}: their defaults stand in")
    settle_memory()
    line, began = ProgressLine(), time.monotonic()
    done = run.run(line.show)
    for (feature, reason), count in sorted(done.gaps.items()):
        _say(f"{feature} was {reason.replace('_', ' ')} for {count:,} rows")
    _say(
        f"✓ {done.done:,} rows in {time.monotonic() - began:.1f} s, {done.failed:,} of them with an"
        f" error: {output}"
    )
    return 0


class _Prepared(NoFeatures):
    """Features that loading a version prepares, and that are then read another way."""

    def __init__(self, prepare: Callable[[Mapping[str, Sequence[Ref]]], None]) -> None:
        self._prepare = prepare

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """See `OnlineFeatures.prepare`."""
        self._prepare(lookups)


def _uri(settings: ScoreSettings, name: str) -> str:
    """A table by its name in the lake, by its path, or by its URL."""
    if "://" in name:
        return name.rstrip("/")
    return str(Path(name).absolute()) if "/" in name else inside(settings.lake_uri, name)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command for people


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def _pair(text: str) -> tuple[str, str]:
    feature, given, column = text.partition("=")
    if not (feature and given and column):
        raise argparse.ArgumentTypeError(f"{text!r}: write FEATURE=COLUMN")
    return feature, column


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least}")
        return int(text)

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tailrace score",
        description=DOES,
        epilog=f"{EXAMPLES}\n{describe(ScoreSettings)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table = "a name in the lake, a path, or a URL"
    parser.add_argument("--model", required=True, help="whose versions score")
    parser.add_argument("--input", required=True, metavar="TABLE", help=f"what is scored: {table}")
    parser.add_argument("--output", required=True, metavar="TABLE", help=f"takes rows: {table}")
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--arm",
        choices=("champion", "challenger", "sticky"),
        default="champion",
        help="who scores; sticky: each entity by the arm that would answer it (default: champion)",
    )
    who.add_argument("--version", help="a version by its number, rolled out or only trained")
    _add_columns(parser)
    _add_bounds(parser)
    return parser


def _add_columns(parser: argparse.ArgumentParser) -> None:
    """How the tables are read and written."""
    parser.add_argument(
        "--mode",
        choices=("error", "append", "overwrite"),
        default="error",
        help="what to do when the output is there already (default: error)",
    )
    parser.add_argument(
        "--features",
        choices=("lake", "table"),
        default="lake",
        help="where stored features come from: the lake, as they were known at the row's time, or"
        " columns of the input (default: lake)",
    )
    parser.add_argument(
        "--column",
        type=_pair,
        action="append",
        default=[],
        metavar="FEATURE=COLUMN",
        help="a feature whose column has another name; may be repeated",
    )
    parser.add_argument("--id-column", default="event_id", help="tells rows apart [event_id]")
    parser.add_argument(
        "--entity-column", help="what the prediction is about; chooses the arm [the id column]"
    )
    parser.add_argument(
        "--time-column", default="event_time", help="when the row would have asked [event_time]"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="a column of the input for the output; may be repeated",
    )


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    """Which rows, and how many."""
    parser.add_argument("--since", type=_moment, metavar="TIME", help="first moment, ISO 8601")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="the moment after the last")
    parser.add_argument(
        "--input-version", type=_at_least(0), metavar="N", help="version of the input [the newest]"
    )
    parser.add_argument(
        "--max-errors",
        type=_at_least(0),
        default=0,
        metavar="N",
        help="rows that may fail; they are written with their error and no score [0]",
    )
    parser.add_argument(
        "--batch-rows",
        type=_at_least(1),
        default=10_000,
        metavar="N",
        help="rows in memory at once [10000]",
    )


if __name__ == "__main__":
    sys.exit(main())
