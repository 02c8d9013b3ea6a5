"""Starts the predictor."""

import gc

from predictor.app import build, shortcut
from predictor.settings import PredictorSettings
from servicekit.kafka import KafkaBus
from servicekit.run import run
from servicekit.settings import load_settings


def main() -> None:
    """Read the environment, and serve until told to stop."""
    settings = load_settings(PredictorSettings)
    # A request makes thousands of objects and no cycles: the default of 700 collects in vain.
    gc.set_threshold(50_000, 50, 50)
    bus = KafkaBus.of(settings)
    components, api = build(settings, bus)
    run("predictor", settings, components, api, before=shortcut)


if __name__ == "__main__":
    main()
