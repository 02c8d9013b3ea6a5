"""Who scores a table: an arm, a version by its number, or each entity's arm."""

from typing import Any

import pytest

from event_schemas import ModelTrained
from predictor.batch.versions import load_versions
from predictor.domain.errors import ScoreError


class Loader:
    """Takes announced versions for loaded ones."""

    def load(self, version: Any) -> Any:
        return version


def load(lab: Any, arm: str = "champion", version: str | None = None) -> Any:
    loader: Any = Loader()
    return load_versions(lab.bus, loader, "flight_delay", arm, version)


@pytest.fixture
def trial(lab: Any) -> Any:
    lab.bus.publish(ModelTrained(model="flight_delay", version=lab.version(3), data=(), metrics=()))
    return lab.announce(lab.step(1, lab.version(1), lab.version(2), weight=0.5))


@pytest.mark.parametrize(
    ("arm", "version", "found"),
    [
        ("champion", None, {"champion": "1"}),
        ("challenger", None, {"challenger": "2"}),
        ("sticky", None, {"champion": "1", "challenger": "2"}),
        ("champion", "2", {"challenger": "2"}),
        ("champion", "3", {"none": "3"}),
    ],
)
def test_an_arm_or_a_number_names_the_versions(
    trial: Any, arm: str, version: str | None, found: dict[str, str]
) -> None:
    versions = load(trial, arm, version)
    assert {name: each.version for name, each in versions.by_arm.items()} == found
    assert versions.salt == ("salt@0.5" if arm == "sticky" else "")


def test_sticky_gives_each_entity_the_arm_that_would_answer_it(trial: Any) -> None:
    versions = load(trial, "sticky")
    route = trial.follower.routes.of("flight_delay")
    for entity in map(str, range(100)):
        arm, version = versions.of(entity)
        assert (arm, version.version) == (route.arm(entity).name, route.arm(entity).version.version)


def test_the_newest_step_counts(trial: Any) -> None:
    trial.announce(trial.step(2, trial.version(2)))
    trial.bus.publish(trial.step(0, trial.version(1)))
    assert load(trial, "sticky").by_arm["champion"].version == "2"


def test_what_there_is_none_of_is_named(trial: Any) -> None:
    with pytest.raises(ScoreError, match=r"--version 9: .* has 3"):
        load(trial, version="9")
    trial.announce(trial.step(2, trial.version(2)))
    with pytest.raises(ScoreError, match="has no challenger at the moment"):
        load(trial, "challenger")
