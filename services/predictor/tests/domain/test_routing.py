from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.errors import CannotAnswerError, UnknownModelError
from predictor.domain.routing import Arm, Route, Routes, challenger_answers

weights = st.floats(0, 1)


def route(weight: float = 0.0, model: str = "m", challenger: str | None = "new") -> Route[str]:
    arm = Arm("challenger", challenger) if challenger else None
    return Route(model, "r", 1, "canary", weight, "salt", Arm("champion", "old"), arm)


@given(st.text(), st.text(), st.text(), weights, weights)
def test_raising_the_weight_only_adds_entities(
    salt: str, model: str, entity: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    if challenger_answers(salt, model, entity, low):
        assert challenger_answers(salt, model, entity, high)


@given(st.text(), st.text(), st.text())
def test_weight_zero_is_nobody_and_one_is_everybody(salt: str, model: str, entity: str) -> None:
    assert not challenger_answers(salt, model, entity, 0.0)
    assert challenger_answers(salt, model, entity, 1.0)


@given(st.text(), st.text(), st.text(), weights)
def test_an_entity_keeps_its_arm(salt: str, model: str, entity: str, weight: float) -> None:
    first = challenger_answers(salt, model, entity, weight)
    assert first is challenger_answers(salt, model, entity, weight)


@pytest.mark.parametrize("weight", [0.01, 0.1, 0.5, 0.9])
def test_the_challenger_gets_its_share(weight: float) -> None:
    n = 20_000
    share = sum(challenger_answers("s", "m", f"entity-{i}", weight) for i in range(n)) / n
    # Five standard deviations of a binomial share.
    assert abs(share - weight) < 5 * (weight * (1 - weight) / n) ** 0.5


def test_the_arms_of_two_salts_are_independent() -> None:
    n = 20_000
    cells = Counter(
        (challenger_answers("a", "m", f"e{i}", 0.5), challenger_answers("b", "m", f"e{i}", 0.5))
        for i in range(n)
    )
    assert len(cells) == 4
    for count in cells.values():
        assert abs(count / n - 0.25) < 5 * (0.25 * 0.75 / n) ** 0.5


def test_the_arm_of_a_known_entity_never_changes_between_releases() -> None:
    # The log says weight, salt and entity so that anyone can tell the arm again.
    entities = [f"UA{i}" for i in range(12)]
    chosen = [e for e in entities if challenger_answers("2013-w27", "flight_delay", e, 0.3)]
    assert chosen == ["UA0", "UA1", "UA5", "UA7", "UA10"]


def test_a_route_without_a_challenger_is_the_champions() -> None:
    assert route(weight=1.0, challenger=None).arm("e").name == "champion"


def test_a_route_sends_everything_to_a_challenger_on_probation() -> None:
    assert {route(weight=1.0).arm(f"e{i}").version for i in range(100)} == {"new"}


def test_routes_are_replaced_never_changed() -> None:
    before: Routes[str] = Routes()
    after = before.having(route())
    assert (len(before), len(after), len(after.without("m"))) == (0, 1, 0)
    with pytest.raises(TypeError):
        after.by_model["m"] = route()  # type: ignore[index]


def test_without_any_model_the_caller_is_to_come_back() -> None:
    with pytest.raises(CannotAnswerError, match="no model is loaded yet"):
        Routes().of("m")


def test_an_unknown_model_is_told_the_known_ones() -> None:
    routes = Routes().having(route(model="b")).having(route(model="a"))
    with pytest.raises(UnknownModelError, match="'c' is not served here; known are a, b"):
        routes.of("c")
