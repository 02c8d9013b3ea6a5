"""What becomes of each message."""

from datetime import timedelta

import pytest

from drift_monitor.watch.intake import Intake, in_sample
from drift_monitor.watch.live import Live
from drift_monitor.watch.suspicion import Suspicions
from event_schemas import DriftSuspected
from servicekit.bus import Message
from servicekit.memory import MemoryBus
from servicekit.testing.metrics import metric_value


class Always:
    drift_detected = True
    width = 1.0
    estimation = 0.75

    def update(self, x):
        pass


class Never(Always):
    drift_detected = False


@pytest.fixture
def build():
    def build(detector=Never):
        published = []
        intake = Intake(
            Live(scores=100, baseline=100),
            Suspicions(detector, timedelta(days=1)),
            published.append,
            max_lag=1000,
            sample=0.25,
        )
        return intake, published

    return build


def messages(*bodies):
    bus = MemoryBus()
    for body in bodies:
        bus.publish(body)
    return bus.messages(bodies[0].topic())


def test_predictions_become_rates_and_means(build, make):
    intake, _ = build()
    for message in messages(*(make.prediction(i, make.hour, score=0.5) for i in range(10))):
        intake.take(message)
    [arm] = intake.sample(1.0).arms
    assert (arm.rate, arm.mean_score) == (10.0, 0.5)
    labels = {"model": "flight_delay", "version": "1", "arm": "champion"}
    assert metric_value("watch_predictions_per_second", **labels) == 10.0


@pytest.mark.parametrize(
    "message",
    [
        Message("prediction.logged", 0, 0, b"k", b"not json"),
        Message("prediction.logged", 0, 0, None, None),
        Message("prediction.logged", 0, 0, b"k", b"{}", (("ce_id", b"1"), ("ce_type", b"x"))),
    ],
)
def test_a_bad_message_is_counted_and_left_behind(build, make, message):
    intake, _ = build()
    intake.take(message)
    for good in messages(make.prediction(1, make.hour)):
        intake.take(good)
    assert len(intake.sample(1.0).arms) == 1


def test_an_event_of_another_type_is_left_behind(build, make):
    intake, _ = build()
    for message in messages(make.label(1, 1.0, make.hour)):
        intake.take(message)
    assert intake.sample(1.0).arms == ()


def test_a_suspicion_names_the_prediction_that_caused_it(build, make):
    intake, published = build(Always)
    [message] = messages(make.prediction(1, make.hour))
    intake.take(message)
    [event] = published
    assert isinstance(event.body, DriftSuspected)
    assert event.body.value == 0.75
    assert event.causation_id == dict(message.headers)["ce_id"].decode()


def test_a_shadow_and_a_failure_raise_no_suspicion(build, make):
    intake, published = build(Always)
    failed = make.prediction(2, make.hour, score=None, error="timeout")
    for message in messages(make.prediction(1, make.hour, arm="shadow"), failed):
        intake.take(message)
    assert published == []


def test_a_prediction_of_a_named_version_is_no_part_of_the_traffic(build, make):
    intake, published = build(Always)
    for message in messages(make.prediction(1, make.hour, pinned=True)):
        intake.take(message)
    assert published == []
    assert intake.sample(1.0).arms == ()


def test_what_the_predictor_did_not_log_counts_in_the_rate(build, make):
    intake, _ = build()
    predictions = (make.prediction(i, make.hour, sampling_rate=0.1) for i in range(10))
    for message in messages(*predictions):
        intake.take(message)
    assert intake.sample(1.0).arms[0].rate == pytest.approx(100)


def test_when_it_lags_it_looks_at_a_sample_and_the_rate_stays_right(build, make):
    intake, _ = build()
    batch = messages(*(make.prediction(i, make.hour) for i in range(4000)))
    intake.set_lag(0, 1000)
    assert intake.sampling_rate == 1.0
    intake.set_lag(0, 1001)
    assert intake.sampling_rate == 0.25
    for message in batch:
        intake.take(message)
    assert intake.sample(1.0).arms[0].rate == pytest.approx(4000, rel=0.1)
    intake.set_lag(0, 501)
    assert intake.sampling_rate == 0.25
    intake.set_lag(0, 500)
    assert intake.sampling_rate == 1.0


def test_the_lag_is_that_of_all_partitions(build):
    intake, _ = build()
    intake.set_lag(0, 600)
    intake.set_lag(1, 600)
    assert intake.lag == 1200
    assert intake.sampling_rate == 0.25


def test_a_sample_is_the_same_for_everyone():
    assert in_sample(b"p1", 1.0)
    shares = sum(in_sample(f"p{i}".encode(), 0.1) for i in range(10_000))
    assert 900 < shares < 1100
