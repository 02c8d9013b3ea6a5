"""`tailrace score`: scores a table of the lake into another."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from predictor.adapters.features.feast_features import NoFeatures
from predictor.adapters.features.feast_registry import FeastRegistry
from predictor.adapters.models.onnx_model import OnnxModel
from predictor.adapters.models.skops_model import SkopsPool
from predictor.app import artifacts_of
from predictor.batch.delta_rows import DeltaRows
from predictor.batch.errors import ScoreError
from predictor.batch.job import Chosen, Job, TableScorer
from predictor.batch.lake_features import LakeFeatures
from predictor.batch.progress import ProgressLine
from predictor.batch.settings import ScoreSettings
from predictor.batch.versions import step_in_force, version_named
from predictor.domain.errors import LoadError
from predictor.domain.routing import challenger_answers
from predictor.ports import Artifacts
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.routes.loader import Loader, settle_memory
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
    chosen = _parser().parse_args(arguments)
    settings = load_settings(ScoreSettings)
    from servicekit.kafka import KafkaBus

    try:
        return score(chosen, settings, KafkaBus.of(settings), artifacts_of(settings))
    except (ScoreError, LoadError, UnavailableError) as error:
        _say(f"✗ {error}")
        return 1
    except KeyboardInterrupt:
        _say("✗ stopped: nothing was written")
        return 130


def score(
    chosen: argparse.Namespace, settings: ScoreSettings, bus: Bus, artifacts: Artifacts
) -> int:
    """Do what was asked; returns the exit code.

    Raises:
        ScoreError: whoever asked has to change something.
        LoadError: a version or a table is not as it has to be.
        UnavailableError: brokers, MLflow, lake or feature registry are away.
    """
    table = DeltaRows(
        _uri(settings, chosen.input),
        chosen.input_version,
        time=chosen.time_column,
        since=chosen.since,
        until=chosen.until,
    )
    output = _uri(settings, chosen.output)
    if output == table.uri:
        raise ScoreError(f"--output {chosen.output} is the table that is read: name another")
    lake = _lake_features(chosen, settings)
    skops = SkopsPool(
        workers=settings.skops_workers,
        timeout_seconds=settings.skops_timeout_seconds,
        max_batches=settings.skops_max_batches,
        trusted_types=settings.skops_trusted_types,
    )
    try:
        loader = Loader(
            artifacts,
            lake or _ColumnsOfTheTable(),
            {"onnx": OnnxModel, "skops": skops.open},
        )
        artifacts.warm_up()
        versions, choose, salt = _versions(chosen, bus, loader)
        scorer = TableScorer(
            Job(
                model=chosen.model,
                input=table,
                output=output,
                mode=chosen.mode,
                id_column=chosen.id_column,
                entity_column=chosen.entity_column,
                time_column=chosen.time_column,
                columns=dict(chosen.column),
                keep=tuple(chosen.keep),
                max_errors=chosen.max_errors,
                batch_rows=chosen.batch_rows,
                max_rows=settings.max_rows,
            ),
            versions,
            choose,
            lake,
            salt=salt,
        )
        return _run(scorer, versions, output)
    finally:
        skops.close()


def _run(scorer: TableScorer, versions: Mapping[str, LoadedVersion], output: str) -> int:
    if scorer.is_done():
        _say(f"✓ {output} holds this run already ({scorer.run_id}): nothing to do")
        return 0
    who = ", ".join(f"version {v.version} ({arm})" for arm, v in versions.items())
    _say(f"scoring with {who}")
    if scorer.defaulted:
        _say(f"the table has no {', '.join(scorer.defaulted)}: their defaults stand in")
    settle_memory()
    line, began = ProgressLine(), time.monotonic()
    done = scorer.run(line.tell)
    for (feature, reason), count in sorted(done.gaps.items()):
        _say(f"{feature} was {reason.replace('_', ' ')} for {count:,} rows")
    _say(
        f"✓ {done.done:,} rows in {time.monotonic() - began:.1f} s, {done.failed:,} of them with an"
        f" error: {output}"
    )
    return 0


def _versions(
    chosen: argparse.Namespace, bus: Bus, loader: Loader
) -> tuple[dict[str, LoadedVersion], Chosen, str]:
    """Who scores: by arm, for each entity, and the salt where it decides."""
    step = step_in_force(bus, chosen.model)
    if chosen.version is not None:
        arm, announced = version_named(bus, step, chosen.version)
        version = loader.load(announced)
        return {arm: version}, lambda entity: (arm, version), ""
    if chosen.arm == "challenger" and step.challenger is None:
        raise ScoreError(f"--arm challenger: {chosen.model} has no challenger at the moment")
    if chosen.arm == "challenger" and step.challenger is not None:
        version = loader.load(step.challenger)
        return {"challenger": version}, lambda entity: ("challenger", version), ""
    champion = loader.load(step.champion)
    if chosen.arm == "champion" or step.challenger is None:
        return {"champion": champion}, lambda entity: ("champion", champion), ""
    challenger = loader.load(step.challenger)

    def sticky(entity: str) -> tuple[str, LoadedVersion]:
        if challenger_answers(step.salt, step.model, entity, step.weight):
            return "challenger", challenger
        return "champion", champion

    salt = f"{step.salt}@{step.weight}"
    return {"champion": champion, "challenger": challenger}, sticky, salt


def _lake_features(chosen: argparse.Namespace, settings: ScoreSettings) -> LakeFeatures | None:
    if chosen.features == "table":
        return None
    if settings.feast_repo is None:
        return _NoRegistry(settings)
    registry = FeastRegistry(settings.feast_repo, redis_online_store(settings.redis_url))
    return LakeFeatures(registry, settings.lake_uri)


class _NoRegistry(LakeFeatures):
    """Stands where no feature repository is set: only models without stored features load."""

    def __init__(self, settings: ScoreSettings) -> None:
        super().__init__(FeastRegistry("", {}), settings.lake_uri)

    def warm_up(self) -> None:
        """Nothing to import."""

    def prepare(self, lookups: Mapping[str, Sequence[Any]]) -> None:
        """See `OnlineFeatures.prepare`."""
        NoFeatures().prepare(lookups)


class _ColumnsOfTheTable(NoFeatures):
    """Stored features come from the rows themselves."""

    def prepare(self, lookups: Mapping[str, Sequence[Any]]) -> None:
        """Nothing: the columns are checked by the scorer."""


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


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least 1")
    return number


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}: at least 0")
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
    parser.add_argument("--since", type=_moment, metavar="TIME", help="first moment, ISO 8601")
    parser.add_argument("--until", type=_moment, metavar="TIME", help="the moment after the last")
    parser.add_argument(
        "--input-version", type=_natural, metavar="N", help="version of the input [the newest]"
    )
    parser.add_argument(
        "--max-errors",
        type=_natural,
        default=0,
        metavar="N",
        help="rows that may fail; they are written with their error and no score [0]",
    )
    parser.add_argument(
        "--batch-rows",
        type=_positive,
        default=10_000,
        metavar="N",
        help="rows in memory at once [10000]",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
