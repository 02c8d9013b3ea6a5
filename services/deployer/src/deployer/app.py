"""Wires the deployer."""

from collections.abc import Sequence
from dataclasses import replace

from deployer.adapters.published_steps import PublishedSteps
from deployer.handlers import Deployer
from deployer.settings import DeployerSettings
from servicekit.bus import Bus
from servicekit.loops.transactional import TransactionalLoop
from servicekit.run import Component


def build(settings: DeployerSettings, bus: Bus) -> Sequence[Component]:
    """Return the deployer's loop over a bus."""
    deployer, published = Deployer(), PublishedSteps(bus)
    loop = TransactionalLoop(
        replace(deployer.processor, rebuild=lambda: deployer.rebuild(published.read())),
        bus,
        slot=settings.replica_slot,
        slots=settings.replica_slots,
        max_batch=settings.max_batch,
    )
    return [loop]
