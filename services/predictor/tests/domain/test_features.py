import math
from typing import Literal, TypeAlias

import pytest

from predictor.domain.errors import BadRequestError, CannotAnswerError, LoadError
from predictor.domain.features import (
    Gap,
    Input,
    Ref,
    Signature,
    Stored,
    require_an_answer,
    trial_rows,
)
from stores.values import FLOAT32_MAX

CARRIER = Input("carrier", "category")
HOUR = Input("hour", "number")
NOTE = Input("note", "category", required=False)
DISTANCE = Input("distance", "number", required=False, default=900.0)
TEMP = Input(
    "temp",
    "number",
    stored=True,
    view="weather",
    field="t",
    join_key="carrier",
    required=False,
    default=10.0,
    max_age_seconds=60.0,
)
NEEDED = Input(
    "wind", "number", stored=True, view="weather", field="w", join_key="carrier", required=True
)

Reason: TypeAlias = Literal["absent", "stale", "wrong_type", "store_away"]


def stored(ref: Ref, value: object, at: float = 1000.0) -> Stored:
    return {("carrier", "UA"): {ref: (value, at)}}


def test_a_row_follows_the_models_order_with_defaults_filled_in() -> None:
    signature = Signature([HOUR, NOTE, CARRIER, DISTANCE])
    assert signature.request_values({"carrier": "UA", "hour": 5}) == [5.0, None, "UA", 900.0]


def test_null_is_the_same_as_absent() -> None:
    signature = Signature([CARRIER, DISTANCE])
    assert signature.request_values({"carrier": "UA", "distance": None}) == ["UA", 900.0]
    with pytest.raises(BadRequestError, match="'carrier' \\(category\\) is required: send it"):
        signature.request_values({"carrier": None})


def test_a_missing_required_feature_is_named() -> None:
    with pytest.raises(BadRequestError) as caught:
        Signature([CARRIER, HOUR]).request_values({"carrier": "UA"})
    assert (caught.value.code, caught.value.field) == ("missing_feature", "features.hour")


def test_an_unknown_feature_is_told_the_known_ones() -> None:
    with pytest.raises(BadRequestError, match="'huor' is unknown; known are carrier, hour") as info:
        Signature([CARRIER, HOUR]).request_values({"carrier": "UA", "hour": 1, "huor": 2})
    assert (info.value.code, info.value.field) == ("unknown_feature", "features.huor")


def test_a_feature_of_the_other_version_is_let_through() -> None:
    signature = Signature([CARRIER])
    assert signature.request_values({"carrier": "UA", "new": 1}, {"new", "carrier"}) == ["UA"]


def test_a_stored_feature_cannot_be_sent() -> None:
    with pytest.raises(BadRequestError, match="'temp' comes from the feature store"):
        Signature([CARRIER, TEMP]).request_values({"carrier": "UA", "temp": 3})


@pytest.mark.parametrize("value", ["NaN", "5", "true", [5], {"a": 1}])
def test_a_number_is_a_json_number(value: object) -> None:
    with pytest.raises(BadRequestError, match="feature 'hour' is a number, got") as caught:
        Signature([HOUR]).request_values({"hour": value})
    assert caught.value.code == "wrong_type"


@pytest.mark.parametrize("value", [["UA"], {"a": 1}, math.nan])
def test_a_category_is_a_json_string(value: object) -> None:
    with pytest.raises(BadRequestError, match="feature 'carrier' is a category, got"):
        Signature([CARRIER]).request_values({"carrier": value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39, -1e300, 10**400])
def test_a_number_that_the_model_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(BadRequestError) as caught:
        Signature([HOUR]).request_values({"hour": value})
    assert caught.value.code == "out_of_range"


@pytest.mark.parametrize("value", [FLOAT32_MAX, -FLOAT32_MAX, 0, 2**53, 5e-324])
def test_the_edge_of_the_range_is_taken(value: float) -> None:
    assert Signature([HOUR]).request_values({"hour": value}) == [float(value)]


def test_stored_values_go_to_their_place() -> None:
    signature = Signature([TEMP, CARRIER])
    row = signature.request_values({"carrier": "UA"})
    gaps: list[Gap] = []
    signature.fill(row, stored(("weather", "t"), 21), 1000.0, gaps)
    assert (row, gaps) == ([21.0, "UA"], [])


@pytest.mark.parametrize(
    ("table", "now", "reason"),
    [
        ({}, 1000.0, "absent"),
        ({("carrier", "UA"): {}}, 1000.0, "absent"),
        (stored(("weather", "t"), None), 1000.0, "absent"),
        (stored(("weather", "t"), math.nan), 1000.0, "absent"),
        (stored(("weather", "t"), 21.0), 1060.001, "stale"),
        (stored(("weather", "t"), "warm"), 1000.0, "wrong_type"),
        (stored(("weather", "t"), [21.0]), 1000.0, "wrong_type"),
        (stored(("weather", "t"), math.inf), 1000.0, "wrong_type"),
        (None, 1000.0, "store_away"),
    ],
)
def test_a_stored_value_that_is_missing_gives_way_to_its_default(
    table: Stored | None, now: float, reason: Reason
) -> None:
    signature = Signature([CARRIER, TEMP])
    row = signature.request_values({"carrier": "UA"})
    gaps: list[Gap] = []
    signature.fill(row, table, now, gaps)
    assert (row, gaps) == (["UA", 10.0], [Gap("temp", reason)])


@pytest.mark.parametrize("now", [1060.0, 1000.0, 500.0])
def test_a_stored_value_is_taken_up_to_its_greatest_age(now: float) -> None:
    signature = Signature([CARRIER, TEMP])
    row = signature.request_values({"carrier": "UA"})
    signature.fill(row, stored(("weather", "t"), 21.0), now, [])
    assert row == ["UA", 21.0]


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (None, "'wind' is required, and the feature store cannot be read"),
        ({}, "weather:w of carrier 'UA' is absent in the feature store"),
    ],
)
def test_a_required_stored_value_that_is_missing_fails_the_request(
    table: Stored | None, text: str
) -> None:
    signature = Signature([CARRIER, NEEDED])
    row = signature.request_values({"carrier": "UA"})
    with pytest.raises(CannotAnswerError, match=text) as caught:
        signature.fill(row, table, 0.0, [])
    assert (caught.value.code, caught.value.field) == ("feature_unavailable", "features.wind")


def test_lookups_name_each_field_once() -> None:
    twice = Input("again", "number", stored=True, view="weather", field="t", join_key="carrier")
    signature = Signature([CARRIER, TEMP, NEEDED, twice])
    assert signature.lookups == {"carrier": (("weather", "t"), ("weather", "w"))}


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ([], "no features"),
        ([CARRIER, CARRIER], "occurs twice"),
        ([TEMP], "needs a view"),
        ([Input("x", "number", stored=True, join_key="carrier"), CARRIER], "needs a view"),
        ([Input("x", "number", default="much")], "default 'much' of feature 'x' is no number"),
    ],
)
def test_a_signature_that_contradicts_itself_is_not_loaded(inputs: list, text: str) -> None:
    with pytest.raises(LoadError, match=text) as caught:
        Signature(inputs)
    assert caught.value.reason == "signature"


def test_fault_4_3_a_model_is_tried_on_rows_that_callers_may_send() -> None:
    optional = Input("gust", "number", required=False)
    inputs = [CARRIER, HOUR, NOTE, DISTANCE, TEMP, NEEDED, optional]
    assert trial_rows(inputs) == [
        ["", 0.0, "", 900.0, 10.0, 0.0, 0.0],
        ["", 0.0, None, 900.0, 10.0, 0.0, None],
    ]


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (1, "1"), (1.0, "1"), (0.5, "0.5")])
def test_fault_4_2_a_category_that_is_no_text_is_the_one_of_the_training(
    value: object, text: str
) -> None:
    assert Signature([CARRIER]).request_values({"carrier": value}) == [text]


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [("number", True, 1.0), ("category", 7, "7"), ("category", False, "false")],
)
def test_fault_6_7_a_stored_value_of_another_type_is_the_one_of_the_training(
    kind: Literal["number", "category"], value: object, found: object
) -> None:
    stored_input = Input("x", kind, stored=True, view="weather", field="t", join_key="carrier")
    signature = Signature([CARRIER, stored_input])
    row = signature.request_values({"carrier": "UA"})
    signature.fill(row, stored(("weather", "t"), value), 1000.0, [])
    assert row == ["UA", found]


CUSTOMER = Input("customer", "number")
OF_CUSTOMER = Input("paid", "number", stored=True, view="p", field="paid", join_key="customer")


@pytest.mark.parametrize("value", [2**53 + 1, -(2**63), 2**63 - 1, 7, 7.0])
def test_fault_6_3_a_number_that_finds_stored_rows_stays_exact(value: float) -> None:
    row = Signature([CUSTOMER, OF_CUSTOMER]).request_values({"customer": value})
    assert row == [int(value), None]
    assert type(row[0]) is int


def test_fault_6_3_a_float_that_may_stand_for_another_key_is_refused() -> None:
    with pytest.raises(BadRequestError, match="send the key as a whole number") as caught:
        Signature([CUSTOMER, OF_CUSTOMER]).request_values({"customer": 2.0**53})
    assert (caught.value.code, caught.value.field) == ("inexact_key", "features.customer")


def test_a_model_has_to_answer_one_trial_row() -> None:
    require_an_answer([None, "no missing values"])
    with pytest.raises(LoadError, match="no trial row is answered: no rows at all"):
        require_an_answer(["no rows at all", "no missing values"])
