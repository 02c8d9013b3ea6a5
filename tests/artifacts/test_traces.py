"""Turns of the loop are found in what a trace backend gives back, and lost spans are noticed."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "compose" / "traces"))

import backends  # noqa: E402
import graph  # noqa: E402
from graph import Span  # noqa: E402

STEPS = [
    ("drift-monitor", "prediction.logged"),
    ("trainer", "drift.detected"),
    ("trainer", "retrain.requested"),
    ("trainer", "retrain.decided"),
    ("deployer", "model.approved"),
    ("trainer", "rollout.step"),
]


def turn() -> list[Span]:
    """A turn as it is told: one trace, and a later step in one of its own that links to it."""
    spans = [Span("t1/0", "", "POST /predict", 0.0)]
    spans += [
        Span(f"t1/{n}", f"t1/{n - 1}", f"{event} process", float(n), service, f"e{n}")
        for n, (service, event) in enumerate(STEPS, 1)
    ]
    later = Span(
        "t2/1", "", "arm.measured process", 20.0, "deployer", "e9", links=("t1/5", "gone/1")
    )
    return [later, *spans]


def test_a_turn_is_one_graph_over_its_traces() -> None:
    other = Span("t3/1", "", "POST /predict", 1.0)
    (found,) = graph.turns([*turn(), other])
    assert {span.id for span in found} == {span.id for span in turn()}
    assert [span.start for span in found] == sorted(span.start for span in found)
    assert graph.story(found)[0].endswith("HTTP           POST /predict")
    assert graph.story(found)[-1].startswith("+   20.0 s  deployer")


def test_without_its_link_a_later_step_is_no_part_of_the_turn() -> None:
    later, *rest = turn()
    alone = Span(later.id, "", later.name, later.start, later.service, later.message)
    assert graph.turns([alone, *rest]) == []
    assert [len(each) for each in graph.graphs([alone, *rest])] == [7, 1]


@pytest.mark.parametrize("lost", range(1, 6))
def test_a_span_that_nobody_sent_leaves_an_orphan_and_breaks_the_turn(lost: int) -> None:
    spans = [span for span in turn() if span.id != f"t1/{lost}"]
    (orphan,) = graph.orphans(spans)
    assert orphan.id == f"t1/{lost + 1}"
    assert graph.turns(spans) == []


def test_a_link_to_a_request_that_was_not_sampled_is_no_orphan() -> None:
    assert graph.orphans(turn()) == []


def test_jaegers_page_is_read_with_parents_links_and_what_is_handled() -> None:
    told = {
        "traceID": "aa",
        "spanID": "01",
        "operationName": "arm.measured process",
        "startTime": 1_500_000,
        "references": [
            {"refType": "CHILD_OF", "traceID": "aa", "spanID": "00"},
            {"refType": "FOLLOWS_FROM", "traceID": "bb", "spanID": "07"},
        ],
        "tags": [
            {"key": "messaging.consumer.group.name", "type": "string", "value": "deployer"},
            {"key": "messaging.message.id", "type": "string", "value": "e1"},
        ],
    }
    assert backends.Jaeger._span(told) == Span(
        "aa/01", "aa/00", "arm.measured process", 1.5, "deployer", "e1", ("bb/07",)
    )


def test_a_backend_that_is_not_there_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JAEGER", "no-such-jaeger")
    with pytest.raises(SystemExit, match="put the release on PATH, or name it by JAEGER"):
        backends.chosen("jaeger")
