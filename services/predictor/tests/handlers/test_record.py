from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from event_schemas import PredictionLogged
from event_schemas.prediction import Latency as LatencyBody
from predictor.handlers.record import SOURCE, Latency, Logged, batch_of, entry
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
def bodies(draw: st.DrawFn) -> Logged:
    return Logged(
        prediction_id=draw(ids),
        model=draw(st.from_regex(r"[a-z][a-z0-9_.-]{0,62}", fullmatch=True)),
        version=draw(st.text(min_size=1, max_size=64)),
        arm=draw(st.sampled_from(["champion", "challenger", "shadow"])),
        weight=draw(st.floats(0, 1)),
        salt=draw(st.text()),
        rollout_id=draw(st.text()),
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


def as_contract(logged: Logged) -> PredictionLogged:
    fields = {name: getattr(logged, name) for name in logged.__struct_fields__}
    fields["latency"] = LatencyBody(
        features_ms=logged.latency.features_ms,
        inference_ms=logged.latency.inference_ms,
        total_ms=logged.latency.total_ms,
    )
    return PredictionLogged(**fields)


@given(bodies(), times, traceparents)
def test_the_fast_bytes_are_the_event_that_the_kit_would_have_sent(
    logged: Logged, now: datetime, traceparent: str | None
) -> None:
    (record,) = batch_of([entry(logged, traceparent)], now).split()
    event = decode(Message(record.topic, 0, 0, record.key, record.value, record.headers))
    wanted = Event(
        body=as_contract(logged),
        source=SOURCE,
        time=now,
        id=derived_id(logged.prediction_id, "prediction.logged"),
        traceparent=traceparent,
        # The kit writes the turn of a first event as its own id, and reads it back as such.
        correlation_id=derived_id(logged.prediction_id, "prediction.logged"),
    )
    assert event == wanted
    kit = encode(wanted)
    assert (record.topic, record.key) == (kit.topic, kit.key)
    assert dict(record.headers) == dict(kit.headers)
    assert len(record.headers) == len(dict(record.headers))


def test_every_field_of_the_contract_is_set_or_has_a_default() -> None:
    required = {n for n, f in PredictionLogged.model_fields.items() if f.is_required()}
    assert required <= set(Logged.__struct_fields__) <= set(PredictionLogged.model_fields)


def test_a_repeated_prediction_id_makes_the_same_event_id() -> None:
    logged = Logged(
        *("p", "m", "1", "champion", 0.0, "s", "r", "e", {}, 0.5, datetime(2013, 1, 1, tzinfo=UTC)),
        *(Latency(0, 0, 0), None, "replica", 0),
    )
    later = Logged(*(getattr(logged, name) for name in logged.__struct_fields__))
    later.sequence, later.score = 7, 0.6
    ids = [dict(entry(each, None)[2])["ce_id"] for each in (logged, later)]
    assert ids[0] == ids[1] == derived_id("p", "prediction.logged").encode()
