"""Starts the trainer: settings, Kafka, components, run."""

import sys

from servicekit.command import carry_out, read_command
from servicekit.kafka import KafkaBus
from servicekit.run import run
from trainer.adapters.model_folder import ModelFolderError
from trainer.app import build
from trainer.handlers.governor import SERVICE
from trainer.settings import TrainerSettings

DOES = """\
Decides which requests for retraining are granted, trains, and holds what came out against the
champion: model.approved or model.rejected. A decision that MLflow has a run of is not trained again
after --from."""


def main() -> None:
    """Entry point of the console script."""
    settings, move = read_command(TrainerSettings, SERVICE, DOES, state=True)
    bus = KafkaBus.of(settings)
    try:
        components = build(settings, bus)
    except ModelFolderError as error:
        sys.exit(f"trainer cannot start:\n{error}")
    if move is not None:
        sys.exit(carry_out(move, components))
    run(SERVICE, settings, components)


if __name__ == "__main__":
    main()
