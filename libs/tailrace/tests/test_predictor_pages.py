import pytest

from tailrace.predictor_pages import Routing


@pytest.mark.parametrize(
    ("routing", "told"),
    [
        (Routing("r", "stable", 0.0, "1", None), "stable: version 1 serves"),
        (Routing("r", "canary", 0.1, "1", "2"), "canary: version 1 serves, version 2 at 10%"),
        (
            Routing("r", "canary", 0.0, "1", "2", 0.5),
            "canary: version 1 serves, version 2 in shadow of 50%",
        ),
    ],
)
def test_a_line_says_who_serves_and_who_is_under_trial(routing: Routing, told: str) -> None:
    assert routing.tell() == told
