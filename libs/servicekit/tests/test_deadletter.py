"""A dead letter keeps its message, and can be sent again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servicekit.bus import Message, Record
from servicekit.deadletter import MAX_ERROR_CHARACTERS, dead_letter, resend

NOW = datetime(2013, 1, 1, tzinfo=UTC)
names = st.text(min_size=1).filter(lambda name: not name.startswith("dead_"))


def read(record: Record) -> Message:
    return Message(record.topic, 0, 3, record.key, record.value, record.headers)


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(names, st.binary())).map(tuple),
    st.text(),
)
def test_a_letter_sent_again_is_the_original(
    key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes], ...], text: str
) -> None:
    message = Message("label.arrived", 2, 41, key, value, headers, 5)
    letter = dead_letter("drift-monitor.dead", message, ValueError(text), NOW)
    assert letter.topic == "drift-monitor.dead"
    again = resend(read(letter))
    assert again == Record("label.arrived", key, value, headers)
    # It died again: the newest reason counts, once.
    second = dead_letter("drift-monitor.dead", read(again), KeyError("k"), NOW)
    assert [n for n, _ in second.headers].count("dead_error") == 1
    assert dict(second.headers)["dead_error"] == b"KeyError"


def test_the_reason_says_where_and_why_and_is_no_novel() -> None:
    message = Message("label.arrived", 2, 41, b"k", b"v", (), 5)
    headers = dict(dead_letter("drift-monitor.dead", message, ValueError("x" * 9999), NOW).headers)
    assert headers["dead_topic"] == b"label.arrived"
    assert (headers["dead_partition"], headers["dead_offset"]) == (b"2", b"41")
    assert headers["dead_at"] == b"2013-01-01T00:00:00+00:00"
    assert len(headers["dead_text"]) == MAX_ERROR_CHARACTERS


def test_what_is_no_dead_letter_is_not_sent() -> None:
    with pytest.raises(ValueError, match=r"label.arrived\[0\]@9 has no header dead_topic"):
        resend(Message("label.arrived", 0, 9, b"k", b"v"))


@pytest.mark.parametrize("topic", ["rollout.step", "ingest.state", "label.arrived\xff", "x"])
def test_fault_1_12_a_letter_is_sent_to_no_topic_that_its_service_does_not_read(topic: str) -> None:
    headers = (("dead_topic", topic.encode()),)
    letter = Message("ingest.dead", 0, 9, b"k", b"v", headers)
    with pytest.raises(ValueError, match=r"which ingest does not read .it reads record.received"):
        resend(letter)


def test_fault_1_9_the_reason_holds_no_password_of_an_address() -> None:
    error = ValueError("https://me:secret@mlflow.example refused")
    letter = dead_letter("s.dead", Message("t", 0, 0, None, None, (), 0), error, NOW)
    assert dict(letter.headers)["dead_text"] == b"https://***@mlflow.example refused"
