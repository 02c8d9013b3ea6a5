"""Starts the predictor."""

import gc
import sys

from predictor.adapters.spool.errors import SpoolUnusableError
from predictor.app import build, direct, shortcut
from predictor.settings import PredictorSettings
from servicekit.command import settings_of_command
from servicekit.kafka import KafkaBus
from servicekit.run import EXIT_UNUSABLE, run

DOES = """\
Answers predictions over HTTP with the champion or the canary, and logs each of them. It keeps no
place in Kafka: at each start it reads rollout.step, which holds the newest step of each model."""


def main() -> None:
    """Read the environment, and serve until told to stop."""
    settings = settings_of_command(PredictorSettings, "predictor", DOES)
    # A request makes thousands of objects and no cycles: the default of 700 collects in vain.
    gc.set_threshold(50_000, 50, 50)
    bus = KafkaBus.of(settings)
    try:
        components, api = build(settings, bus)
    except SpoolUnusableError as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(EXIT_UNUSABLE)
    run("predictor", settings, components, api, before=shortcut, direct=direct(api))


if __name__ == "__main__":
    main()
