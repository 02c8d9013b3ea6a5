import os
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from predictor.domain.errors import BadRequestError, ModelFailedError
from predictor.domain.features import Input, Signature, Value
from predictor.domain.routing import Arm
from predictor.serving.prediction import (
    IDS_AT_ONCE,
    OnDone,
    Prediction,
    in_time,
    new_id,
    split,
)
from predictor.serving.routes.loaded import LoadedRoute, LoadedVersion

HOUR, CARRIER = Input("hour", "number"), Input("carrier", "category")
STORED = Input("temp", "number", stored=True, view="v", field="t", join_key="carrier")


class Model:
    def answers(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        return [0.5] * len(rows)


class Child(Model):
    def submit(self, rows: Sequence[Sequence[Value]]) -> "Future[list[float | ModelFailedError]]":
        raise NotImplementedError


def arm(
    inputs: Sequence[Input] = (HOUR,), model: Model | None = None, **policy: Any
) -> Arm[LoadedVersion]:
    version = LoadedVersion("m", "1", "sha", Signature(inputs), model or Model(), **policy)
    return Arm("champion", version)


def prediction(
    of: Arm[LoadedVersion] | None = None,
    *,
    name: str = "p",
    deadline: float = 11.0,
    on_done: OnDone | None = lambda _: None,
    pinned: bool = False,
) -> Prediction:
    of = of or arm()
    route = LoadedRoute("m", "r", 0, "stable", 0.0, "s", of)
    now = datetime(2013, 1, 1, tzinfo=UTC)
    return Prediction(
        *(route, of, of.version, name, "e", now, 0.0, deadline, None, on_done), pinned=pinned
    )


def test_at_its_deadline_it_is_too_late() -> None:
    early, at, late = (prediction(deadline=each) for each in (10.001, 10.0, 9.0))
    assert in_time([early, at, late], 10.0) == ([early], [at, late])


def test_what_nobody_waits_for_is_no_work() -> None:
    left, there = prediction(on_done=None), prediction()
    assert in_time([left, there], 10.0) == ([there], [left])


def test_a_batch_that_is_in_time_stays_as_it_is() -> None:
    batch = [prediction(deadline=11.0), prediction(deadline=12.0)]
    assert in_time(batch, 10.0) == (batch, [])


def test_a_batch_is_parted_by_where_it_is_scored() -> None:
    here, in_child = prediction(), prediction(arm(model=Child()))
    refused = prediction(arm(model=Child()))
    refused.error = BadRequestError("missing_feature", "send it")
    assert split([here, in_child, refused]) == ([here, refused], [in_child], False)


def test_stores_are_read_for_stored_features_and_for_the_cache_of_this_process() -> None:
    needs = [prediction(arm([CARRIER, STORED])), prediction(arm(cache_seconds=60.0))]
    for each in needs:
        assert split([each])[2]
    needs[0].error = BadRequestError("missing_feature", "send it")
    assert not split([needs[0], prediction(), prediction(arm(model=Child(), cache_seconds=1.0))])[2]


def test_what_a_row_lacks_is_its_error() -> None:
    fine, short = prediction(), prediction()
    fine.read({"hour": 1.0})
    short.read({})
    assert (fine.row, fine.error) == ([1.0], None)
    assert short.error is not None
    assert short.trouble is short.error


def test_a_failure_is_what_the_caller_gets_whatever_the_error() -> None:
    each, failure = prediction(), OSError()
    each.read({})
    each.failure = failure
    assert each.trouble is failure


def test_a_challenger_of_the_same_inputs_gets_the_row_and_any_other_reads_what_was_sent() -> None:
    champion = prediction(name="p1", pinned=False)
    champion.sent = {"hour": 1.0}
    champion.read(champion.sent)
    same = champion.repeated_for(arm(sampling_rate=0.1))
    assert (same.row, same.sent, same.logged, same.on_done) == ([1.0], None, True, None)
    assert (same.prediction_id, same.entity, same.event_time) == ("p1", "e", champion.event_time)
    other = champion.repeated_for(arm([HOUR, CARRIER]))
    assert (other.row, other.sent) == ([], champion.sent)
    refused = prediction()
    refused.sent = {}
    refused.read({})
    assert refused.repeated_for(arm()).sent == {}


def test_ids_are_random_uuids_of_version_4_and_all_different() -> None:
    ids = [new_id() for _ in range(3 * IDS_AT_ONCE)]
    assert len(set(ids)) == len(ids)
    for each in ids:
        parsed = UUID(each)
        assert str(parsed) == each
        assert (parsed.version, parsed.variant) == (4, UUID(int=0, version=4).variant)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_ids_of_its_own() -> None:
    new_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, new_id().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert UUID(theirs).version == 4
    assert theirs not in {new_id() for _ in range(IDS_AT_ONCE)}
