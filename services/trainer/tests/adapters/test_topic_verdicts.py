"""What came of a decision, as the topics of verdicts say."""

from datetime import UTC, datetime

import pytest

from event_schemas import ModelApproved, ModelRejected, RetrainDecided, TrainingFailed
from servicekit.bus import Record
from servicekit.cloudevents import encode
from servicekit.event import Event, caused_by
from servicekit.memory import MemoryBus
from trainer.adapters.topic_verdicts import TopicVerdicts

START = datetime(2013, 4, 1, tzinfo=UTC)
MODEL = "flight_delay"


@pytest.fixture
def decision(wrap):
    return wrap(
        RetrainDecided(
            model=MODEL,
            request_id="r1",
            decision="accepted",
            reason="because",
            cause="manual",
            event_time=START,
        ),
        id="decision",
    )


@pytest.fixture
def verdicts(make_version):
    version = make_version("1")
    return [
        ModelApproved(model=MODEL, version=version, approved_by="policy"),
        ModelRejected(model=MODEL, version=version, gates=()),
        TrainingFailed(model=MODEL, request_id="r1", stage="fit", error="oh"),
    ]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_fault_1_8_a_verdict_in_its_topic_says_that_a_decision_was_served(
    decision, verdicts, number
):
    bus = MemoryBus()
    known = TopicVerdicts(bus)
    assert not known.told("decision")
    verdict = verdicts[number]
    bus.append(Record(verdict.topic(), b"k", b"no event"))
    bus.append(encode(caused_by(decision, verdict, index=0, source="/test", time=START)))
    assert known.told("decision"), "what came since is read"
    assert not known.told("another")


def test_fault_1_8_a_verdict_that_nothing_caused_is_no_decision_s(verdicts):
    bus = MemoryBus()
    bus.append(encode(Event(verdicts[0], "/test", START)))
    assert not TopicVerdicts(bus).told("decision")
