from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from event_schemas import PredictionLogged
from event_schemas.prediction import Latency as LatencyBody
from predictor.serving.record import (
    SOURCE,
    Latency,
    Logged,
    Shared,
    batch_of,
    entry,
    shared,
)
from servicekit.bus import Message
from servicekit.cloudevents import decode, encode
from servicekit.event import Event, derived_id

ids = st.text("abcdefABCDEF0123456789_.:-", min_size=1, max_size=128)
finite = st.floats(allow_nan=False, allow_infinity=False)
times = st.datetimes(
    min_value=datetime(1, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC),
)
traceparents = st.none() | st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


@st.composite
def arms(draw: st.DrawFn) -> Shared:
    return Shared(
        model=draw(st.from_regex(r"[a-z][a-z0-9_.-]{0,62}", fullmatch=True)),
        version=draw(st.text(min_size=1, max_size=64)),
        arm=draw(st.sampled_from(["champion", "challenger", "shadow"])),
        weight=draw(st.floats(0, 1)),
        salt=draw(st.text()),
        rollout_id=draw(st.text()),
    )


@st.composite
def bodies(draw: st.DrawFn) -> Logged:
    return Logged(
        prediction_id=draw(ids),
        entity=draw(st.text(min_size=1)),
        features=draw(st.dictionaries(st.text(), st.none() | st.text() | finite)),
        score=draw(st.none() | st.floats(0, 1)),
        event_time=draw(times),
        latency=Latency(*draw(st.tuples(*[st.floats(0, 1e6)] * 3))),
        error=draw(st.none() | st.text()),
        replica=draw(st.text()),
        sequence=draw(st.integers(0, 2**53)),
        pinned=draw(st.booleans()),
        cache_hit=draw(st.booleans()),
        sampling_rate=draw(st.sampled_from([1.0, 0.25])),
    )


def as_contract(arm: Shared, logged: Logged) -> PredictionLogged:
    fields = {name: getattr(of, name) for of in (arm, logged) for name in of.__struct_fields__}
    fields["latency"] = LatencyBody(
        features_ms=logged.latency.features_ms,
        inference_ms=logged.latency.inference_ms,
        total_ms=logged.latency.total_ms,
    )
    return PredictionLogged(**fields)


@given(arms(), bodies(), times, traceparents)
def test_the_fast_bytes_are_the_event_that_the_kit_would_have_sent(
    arm: Shared, logged: Logged, now: datetime, traceparent: str | None
) -> None:
    of_arm = shared(*(getattr(arm, name) for name in arm.__struct_fields__))
    (record,) = batch_of([entry(of_arm, logged, traceparent)], now).split()
    event = decode(Message(record.topic, 0, 0, record.key, record.value, record.headers))
    wanted = Event(
        body=as_contract(arm, logged),
        source=SOURCE,
        time=now,
        id=logged.prediction_id,
        traceparent=traceparent,
        # The kit writes the turn of a first event as its own id, and reads it back as such.
        correlation_id=logged.prediction_id,
    )
    assert event == wanted
    kit = encode(wanted)
    assert (record.topic, record.key) == (kit.topic, kit.key)
    assert dict(record.headers) == dict(kit.headers)
    assert len(record.headers) == len(dict(record.headers))


def test_every_field_of_the_contract_is_set_or_has_a_default() -> None:
    required = {n for n, f in PredictionLogged.model_fields.items() if f.is_required()}
    written = [*Shared.__struct_fields__, *Logged.__struct_fields__]
    assert len(written) == len(set(written))
    assert required <= set(written) <= set(PredictionLogged.model_fields)


def test_the_events_of_a_prediction_have_ids_that_a_repetition_has_again() -> None:
    logged = Logged(
        *("p", "e", {}, 0.5, datetime(2013, 1, 1, tzinfo=UTC)),
        *(Latency(0, 0, 0), None, "replica", 0),
    )
    later = Logged(*(getattr(logged, name) for name in logged.__struct_fields__))
    later.sequence, later.score = 7, 0.6
    for index, wanted in ((0, "p"), (1, derived_id("p", "prediction.logged", 1))):
        for each in (logged, later):
            headers = dict(entry(b"{", each, None, index)[2])
            assert headers["ce_id"] == headers["ce_correlationid"] == wanted.encode()
            assert headers["ce_subject"] == b"p"
