"""`deployer`: runs the service until it is told to stop."""

import sys

from deployer.app import build
from deployer.settings import DeployerSettings
from servicekit.command import carry_out, read_command
from servicekit.kafka import bus_from
from servicekit.run import run

DOES = """\
Rolls approved versions out in steps, and back when a canary does harm: rollout.step. What it reads
again after --from, it does not roll out again: a state that is lost, or that --reset-state forgets,
is rebuilt from the newest rollout.step of each model."""


def main() -> None:
    """Entry point of the console script."""
    settings, reset = read_command(DeployerSettings, "deployer", DOES, state=True)
    bus = bus_from(settings)
    components = build(settings, bus)
    if reset is not None:
        sys.exit(carry_out(reset, components))
    run("deployer", settings, components)


if __name__ == "__main__":
    main()
