"""Steps with the most that a version may hold."""

from datetime import UTC, datetime
from typing import Any

from deployer.domain.rollout import REMEMBERED
from deployer.handlers import Deployer
from event_schemas import ModelApproved
from event_schemas.policy import Feature
from event_schemas.policy_rules import MAX_VERSION_BYTES
from servicekit.bus import MAX_VALUE_BYTES
from servicekit.event import Event


def test_fault_6_1_a_step_with_two_of_the_largest_versions_fits(approve: Any) -> None:
    deployer = Deployer()

    def large(version: str) -> ModelApproved:
        body = approve(version)
        text = "x" * (MAX_VERSION_BYTES // 100 - 400)
        features = tuple(
            Feature(name=f"f{n}", kind="category", source="request", default=text)
            for n in range(100)
        )
        return body.model_copy(
            update={"version": body.version.model_copy(update={"features": features})}
        )

    steps: list[Any] = []
    for version in ("1", "2" * 64):
        steps += deployer.on_model_approved(Event(large(version), "/test", datetime.now(UTC)))
    step = steps[-1]
    full = step.model_copy(update={"decided": ("v" * 64,) * REMEMBERED, "reason": "r" * 2000})
    assert MAX_VALUE_BYTES * 0.9 < len(full.model_dump_json()) < MAX_VALUE_BYTES
