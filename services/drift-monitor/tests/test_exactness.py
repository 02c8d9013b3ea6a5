"""Whatever the order, the repetitions and the batches: the sums are those of a plain count."""

import random
from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drift_monitor.domain.loss import BITS, FINE_BITS
from event_schemas import ArmMeasured, DriftCleared, DriftDetected
from event_schemas.task import Loss, class_of, loss_of_class, loss_of_number
from servicekit.errors import TransactionAbortedError
from servicekit.memory import MemoryBus

DAY = timedelta(days=1)

prediction = st.tuples(
    st.integers(0, 30),  # id
    st.integers(0, 6 * 24 * 60),  # minute
    st.sampled_from(["champion", "challenger"]),
    st.one_of(st.none(), st.floats(0, 1)),
)
label = st.tuples(st.integers(0, 30), st.sampled_from([0.0, 1.0]))

VERSIONS = {
    "binary": {},
    "multiclass": {"task": "multiclass", "classes": ("0", "1", "2")},
    "regression": {
        "task": "regression",
        "loss": Loss(name="squared_error"),
        "answer_edges": (0.0, 100.0, 500.0),
    },
}


def _answer(task, score):
    if task == "multiclass":
        rest = (1 - score) / 2
        return {"score": None, "scores": {"2": rest, "1": score, "0": rest}, "prediction": "1"}
    if task == "regression":
        return {"score": None, "prediction": 1000.0 * score - 200.0}
    return {"score": score}


def _loss(task, score, label):
    if task == "multiclass":
        rest = (1 - score) / 2
        return loss_of_class(Loss(), (rest, score, rest), class_of(label, ("0", "1", "2")))
    if task == "regression":
        return loss_of_number(Loss(name="squared_error"), 1000.0 * score - 200.0, label)
    return loss_of_class(Loss(), (1 - score, score), int(label))


@pytest.mark.parametrize("task", VERSIONS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    predictions=st.lists(prediction, max_size=25, unique_by=lambda p: p[0]),
    labels=st.lists(label, max_size=25),
    repeats=st.lists(st.integers(0, 49), max_size=10),
    seed=st.integers(0, 1000),
    batch=st.integers(1, 40),
    partitions=st.integers(1, 3),
    aborts=st.integers(0, 2),
    restart=st.booleans(),
)
def test_any_interleaving_gives_the_sums_of_a_plain_count(
    worlds, make, task, predictions, labels, repeats, seed, batch, partitions, aborts, restart
):
    bodies = [
        make.prediction(
            number,
            timedelta(minutes=minute),
            arm=arm,
            **({"score": None} if score is None else _answer(task, score)),
            error=None if score is not None else "timeout",
            weight=0.5,
            sequence=index,
        )
        for index, (number, minute, arm, score) in enumerate(predictions)
    ]
    bodies = [b.model_copy(update={"sequence": i}) for i, b in enumerate(bodies)]
    told = [
        make.label(number, value, timedelta(minutes=order))
        for order, (number, value) in enumerate(labels)
    ]
    stream = [*bodies, *told]
    stream += [stream[i % len(stream)] for i in repeats] if stream else []
    random.Random(seed).shuffle(stream)

    # Nothing may close before all has come: event times of the stream span six days.
    world = worlds(MemoryBus(partitions=partitions), max_batch=batch)
    policy = make.policy(lateness=timedelta(days=7))
    version = make.version(drift=policy, **VERSIONS[task])
    world.bus.publish(make.step(version))
    world.run()
    for body in stream:
        world.bus.publish(body)
    world.bus.aborts = aborts
    _run(world)
    if restart:
        world.start()
    world.bus.publish(make.prediction("end", 20 * DAY, arm="shadow", sequence=len(bodies)))
    _run(world)

    expected = _plain_count(task, predictions, labels)
    bits = BITS if task == "binary" else FINE_BITS
    measured = {
        ((m.window.start - make.start) // DAY, m.arm): (
            m.n,
            m.errors,
            m.loss.n,
            m.loss.total,
            m.loss.total_squared,
            m.loss.positives,
            sum(m.scores.counts),
            m.revision,
            m.coverage,
        )
        for m in world.out(ArmMeasured)
    }
    assert measured == {
        key: (*sums[:3], sums[3] / 2**bits, sums[4] / 2**bits, *sums[5:])
        for key, sums in expected.items()
    }
    assert world.bus.messages("drift-monitor.dead") == []


def _run(world):
    while True:
        try:
            if not world.loop.step():
                return
        except TransactionAbortedError:
            continue


def _plain_count(task, predictions, labels):
    bits = BITS if task == "binary" else FINE_BITS
    truth = dict(labels)
    out = defaultdict(lambda: [0, 0, 0, 0, 0, 0, 0, 0, 1.0])
    for number, minute, arm, score in predictions:
        sums = out[minute // (24 * 60), arm]
        sums[0] += 1
        sums[1] += score is None
        sums[6] += score is not None
        if score is not None and number in truth:
            loss = _loss(task, score, truth[number])
            sums[2] += 1
            sums[3] += round(loss * 2**bits)
            sums[4] += round(loss * loss * 2**bits)
            sums[5] += int(truth[number]) if task == "binary" else 0
    return {key: tuple(value) for key, value in out.items()}


def test_a_process_that_restarts_all_the_time_says_the_same(worlds, make):
    stream = [make.step(make.version())]
    generator = random.Random(7)
    for row in range(1500):
        after = timedelta(hours=row / 2)
        drifted = {"distance": 900.0, "carrier": "AA", "temp": 1.0}
        stream.append(
            make.prediction(
                row,
                after,
                score=generator.random(),
                replica=generator.choice("ab"),
                **({"features": drifted} if row > 700 else {}),
            )
        )
        if row > 30:
            late = row - generator.randrange(30)
            stream.append(make.label(late, float(generator.random() < 0.3), after))
    outputs = []
    for restarts in (False, True):
        world = worlds(max_batch=37)
        for body in stream:
            world.bus.publish(body)
        while world.loop.step():
            if restarts:
                world.start()
        outputs.append(
            [
                [e.body for e in world.bus.events(b)]
                for b in (ArmMeasured, DriftDetected, DriftCleared)
            ]
        )
        assert len(outputs[-1][0]) > 20
        assert len(outputs[-1][1]) >= 1
    assert outputs[0] == outputs[1]
