"""`deployer`: runs the service until it is told to stop."""

from deployer.app import build
from deployer.settings import DeployerSettings
from servicekit.kafka import KafkaBus
from servicekit.run import run
from servicekit.settings import load_settings


def main() -> None:
    """Entry point of the console script."""
    settings = load_settings(DeployerSettings)
    bus = KafkaBus.of(settings)
    run("deployer", settings, build(settings, bus))


if __name__ == "__main__":
    main()
