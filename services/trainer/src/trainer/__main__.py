"""Starts the trainer: settings, Kafka, components, run."""

import sys

from servicekit.command import settings_of_command
from servicekit.kafka import KafkaBus
from servicekit.run import run
from trainer.adapters.model_folder import ModelFolderError
from trainer.app import build
from trainer.handlers.governor import SERVICE
from trainer.settings import TrainerSettings

DOES = """\
Decides which requests for retraining are granted, trains, and holds what came out against the
champion: model.approved or model.rejected."""


def main() -> None:
    """Run until told to stop."""
    settings = settings_of_command(TrainerSettings, SERVICE, DOES)
    bus = KafkaBus.of(settings)
    try:
        components = build(settings, bus)
    except ModelFolderError as error:
        sys.exit(f"trainer cannot start:\n{error}")
    run(SERVICE, settings, components)


if __name__ == "__main__":
    main()
