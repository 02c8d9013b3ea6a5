from collections import Counter, deque
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.fair_queue import FairQueue

models = st.sampled_from("abcdefg")
counts = st.dictionaries(models, st.integers(1, 40), min_size=1)


def filled(counts: dict[str, int]) -> FairQueue[tuple[str, int]]:
    queue = FairQueue[tuple[str, int]]()
    for model, count in counts.items():
        for i in range(count):
            queue.put(model, (model, i))
    return queue


@given(st.lists(st.one_of(models, st.integers(1, 10)), max_size=200))
def test_each_item_comes_out_once_and_those_of_a_model_in_their_order(
    story: list[str | int],
) -> None:
    queue = FairQueue[tuple[str, int]]()
    lines: dict[str, deque[tuple[str, int]]] = {}
    number = 0
    for each in [*story, 10_000]:
        if isinstance(each, str):
            number += 1
            queue.put(each, (each, number))
            lines.setdefault(each, deque()).append((each, number))
            continue
        waiting = len(queue)
        taken = queue.take(each)
        assert len(taken) == min(each, waiting)
        assert len(queue) == waiting - len(taken)
        for item in taken:
            assert lines[item[0]].popleft() == item
    assert not any(lines.values())


@given(counts, st.integers(1, 60))
def test_models_that_still_wait_were_given_the_same_number_of_places(
    counts: dict[str, int], most: int
) -> None:
    taken = Counter(model for model, _ in filled(counts).take(most))
    waiting = [taken[model] for model, count in counts.items() if taken[model] < count]
    if waiting:
        assert max(waiting) - min(waiting) <= 1
        # A model that is done had no more than those that were cut short, but for the last place.
        assert all(taken[model] <= max(waiting) + 1 for model in counts)


@given(counts, st.integers(1, 5))
def test_every_model_has_its_turn_however_many_there_are(counts: dict[str, int], most: int) -> None:
    queue = filled(counts)
    seen = set()
    for _ in range(ceil(len(counts) / most)):
        seen |= {model for model, _ in queue.take(most)}
    assert seen == counts.keys()


def test_a_flood_takes_nobody_elses_place() -> None:
    queue = filled({"flood": 10_000})
    queue.put("calm", ("calm", 0))
    assert ("calm", 0) in queue.take(256)
