"""`deployer`: runs the service until it is told to stop."""

from deployer.app import build
from deployer.settings import DeployerSettings
from servicekit.command import settings_of_command
from servicekit.kafka import KafkaBus
from servicekit.run import run

DOES = """\
Rolls approved versions out in steps, and back when a canary does harm: rollout.step."""


def main() -> None:
    """Entry point of the console script."""
    settings = settings_of_command(DeployerSettings, "deployer", DOES)
    bus = KafkaBus.of(settings)
    run("deployer", settings, build(settings, bus))


if __name__ == "__main__":
    main()
