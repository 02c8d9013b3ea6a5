"""Starts the trainer: settings, Kafka, components, run."""

import sys

from servicekit.command import carry_out, read_command
from servicekit.kafka import bus_from
from servicekit.run import run
from trainer.adapters.model_folder import ModelFolderError
from trainer.app import build
from trainer.handlers.governor import SERVICE
from trainer.settings import TrainerSettings

DOES = """\
Decides which requests for retraining are granted, trains, and holds what came out against the
champion: model.approved or model.rejected. A decision whose verdict lies in Kafka is not trained
again after --from."""


def main() -> None:
    """Run until told to stop."""
    settings, reset = read_command(TrainerSettings, SERVICE, DOES, state=True)
    bus = bus_from(settings)
    try:
        components = build(settings, bus)
    except ModelFolderError as error:
        sys.exit(f"trainer cannot start:\n{error}")
    if reset is not None:
        sys.exit(carry_out(reset, components))
    run(SERVICE, settings, components)


if __name__ == "__main__":
    main()
