"""Starts the trainer: settings, Kafka, components, run."""

import sys

from servicekit.kafka import KafkaBus
from servicekit.run import run
from servicekit.settings import load_settings
from trainer.adapters.model_folder import ModelFolderError
from trainer.app import build
from trainer.handlers.governor import SERVICE
from trainer.settings import TrainerSettings


def main() -> None:
    """Run until told to stop."""
    settings = load_settings(TrainerSettings)
    bus = KafkaBus.of(settings)
    try:
        components = build(settings, bus)
    except ModelFolderError as error:
        sys.exit(f"trainer cannot start:\n{error}")
    run(SERVICE, settings, components)


if __name__ == "__main__":
    main()
