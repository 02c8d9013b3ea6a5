"""A dead letter says where it came from and why it died, whatever its bytes are."""

from datetime import UTC, datetime

import pytest

from servicekit.bus import Message
from servicekit.deadletter import dead_letter
from tailrace.commands.dead import lines
from tailrace.dead_letters import DeadLetter, choose


def letter(value: bytes = b'{"n": 1}', offset: int = 3) -> DeadLetter:
    message = Message("label.arrived", 0, 17, b"k-1", value, (("ce_id", b"e-1"),), 0)
    record = dead_letter(
        "drift-monitor.dead",
        message,
        ValueError("label=2: 0 or 1"),
        datetime(2013, 6, 1, tzinfo=UTC),
    )
    return DeadLetter(
        Message(record.topic, 0, offset, record.key, record.value, tuple(record.headers), 5)
    )


def test_it_tells_origin_and_reason_and_shows_the_original() -> None:
    assert letter().whole() == {
        "id": "drift-monitor/0/3",
        "at": "2013-06-01T00:00:00+00:00",
        "origin": "label.arrived[0]@17",
        "key": "k-1",
        "reason": "ValueError: label=2: 0 or 1",
        "headers": {"ce_id": "e-1"},
        "value": {"n": 1},
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(b"{", "{"), (b"\xff\x00", "\\xff\x00"), (b"", ""), (b"[1]", [1])]
)
def test_whatever_the_bytes_are_they_are_shown(value: bytes, shown: object) -> None:
    assert letter(value).whole()["value"] == shown


def test_a_message_that_is_no_letter_is_shown_all_the_same() -> None:
    stray = DeadLetter(Message("ingest.dead", 0, 1, None, b"1", (), 0))
    assert stray.origin == "?[?]@?"
    assert stray.key == ""


def test_letters_are_chosen_by_name_in_the_order_of_the_names() -> None:
    first, second = letter(offset=1), letter(offset=2)
    assert choose([first, second], [second.id, first.id]) == [second, first]
    with pytest.raises(KeyError, match="drift-monitor/0/9"):
        choose([first], ["drift-monitor/0/9"])


@pytest.mark.parametrize("width", [None, 10, 17, 40, 200])
def test_fault_4_11_a_list_has_the_whole_name_at_any_width(width: int | None) -> None:
    found = [letter(), letter(offset=12345)]
    header, *shown = lines(found, width)
    assert header.startswith("letter")
    assert [line.split()[0] for line in shown] == [each.id for each in found]
    if width is None:
        assert shown[0].endswith("ValueError: label=2: 0 or 1")
    elif width > len(found[1].id):
        assert max(map(len, shown)) <= width


def test_no_letters_are_said_to_be_none() -> None:
    assert lines([], 80) == ["no dead letters"]
