from predictor.domain.batching import grouped, lookups
from predictor.domain.features import Input, Signature


def stored(name: str, key: str) -> Input:
    return Input(name, "number", stored=True, view="v", field=name, join_key=key)


ORIGIN, DEST = Input("origin", "category"), Input("dest", "category", required=False)


def test_each_value_and_each_field_is_read_once() -> None:
    old = Signature([ORIGIN, stored("temp", "origin")])
    new = Signature([ORIGIN, stored("temp", "origin"), stored("wind", "origin")])
    rows = [(old, ["JFK", None]), (new, ["EWR", None, None]), (old, ["JFK", None])]
    wanted = lookups(rows)
    assert list(wanted) == ["origin"]
    assert list(wanted["origin"].values) == ["JFK", "EWR"]
    assert list(wanted["origin"].refs) == [("v", "temp"), ("v", "wind")]


def test_each_join_key_is_a_lookup_of_its_own() -> None:
    signature = Signature([ORIGIN, DEST, stored("a", "origin"), stored("b", "dest")])
    wanted = lookups([(signature, ["JFK", "LAX", None, None])])
    assert {key: list(lookup.values) for key, lookup in wanted.items()} == {
        "origin": ["JFK"],
        "dest": ["LAX"],
    }


def test_a_missing_join_key_asks_for_nothing() -> None:
    signature = Signature([ORIGIN, DEST, stored("b", "dest")])
    assert lookups([(signature, ["JFK", None, None])]) == {}


def test_groups_keep_the_order() -> None:
    assert grouped([("a", 1), ("b", 2), ("a", 3)]) == {"a": [1, 3], "b": [2]}
