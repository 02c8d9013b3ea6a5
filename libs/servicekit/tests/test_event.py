"""Ids, causes and turns of the loop."""

from datetime import UTC, datetime
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas import LabelArrived
from servicekit.errors import TooManyHopsError
from servicekit.event import MAX_HOPS, NAMESPACE, Event, caused_by, derived_id

WHEN = datetime(2013, 1, 1, tzinfo=UTC)
BODY = LabelArrived(prediction_id="p", model="m", label=0.0, observed_at=WHEN)
CAUSE = Event(body=BODY, source="/a", time=WHEN, id="cause", traceparent="00-t")

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, texts, st.integers(0, 10_000))
def test_a_derived_id_is_the_uuid5_of_its_cause_type_and_index(
    cause: str, event_type: str, index: int
) -> None:
    derived = derived_id(cause, event_type, index)
    assert derived == str(uuid5(NAMESPACE, f"{cause}|{event_type}|{index}"))
    assert UUID(derived).version == 5


def test_a_consequence_names_its_cause_and_belongs_to_its_turn() -> None:
    first = caused_by(CAUSE, BODY, index=0, source="/b", time=WHEN)
    second = caused_by(first, BODY, index=0, source="/c", time=WHEN, traceparent="00-u")
    assert (first.causation_id, first.turn, first.hops) == ("cause", "cause", 1)
    assert (second.causation_id, second.turn, second.hops) == (first.id, "cause", 2)
    assert (first.traceparent, second.traceparent) == ("00-t", "00-u")


def test_the_same_cause_makes_the_same_ids_and_each_index_another() -> None:
    ids = [caused_by(CAUSE, BODY, index=n, source="/b", time=WHEN).id for n in (0, 1, 0)]
    assert ids[0] == ids[2] != ids[1]


def test_a_chain_of_causes_ends_at_the_limit() -> None:
    last = Event(body=BODY, source="/a", time=WHEN, hops=MAX_HOPS - 1)
    end = caused_by(last, BODY, index=0, source="/a", time=WHEN)
    assert end.hops == MAX_HOPS
    with pytest.raises(TooManyHopsError, match="in a circle"):
        caused_by(end, BODY, index=0, source="/a", time=WHEN)
