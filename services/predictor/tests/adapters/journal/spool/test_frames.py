from hypothesis import given
from hypothesis import strategies as st

from predictor.adapters.journal.spool.frames import HEADER_BYTES, Damage, Frame, framed, read_frame

payloads = st.binary(min_size=1, max_size=200)
counts = st.integers(0, 2**32 - 1)
moments = st.integers(-(2**63), 2**63 - 1)
frames = st.tuples(payloads, counts, moments)


def all_frames(data: bytes) -> list[Frame | Damage]:
    found, at = [], 0
    while (frame := read_frame(data, at, is_all=True)) is not None:
        found.append(frame)
        if frame.end is None:
            break
        at = frame.end
    return found


@given(st.lists(frames))
def test_what_was_written_is_read(written: list[tuple[bytes, int, int]]) -> None:
    data = b"".join(framed(*each) for each in written)
    read = all_frames(data)
    assert [(f.payload, f.records, f.written_ms) for f in read if isinstance(f, Frame)] == written
    assert len(read) == len(written)


@given(st.lists(frames, min_size=1), st.data())
def test_of_a_file_that_is_cut_off_the_whole_frames_are_read_and_no_other(
    written: list[tuple[bytes, int, int]], data: st.DataObject
) -> None:
    parts = [framed(*each) for each in written]
    whole = b"".join(parts)
    cut = data.draw(st.integers(0, len(whole)))
    kept = 0
    while kept < len(parts) and sum(map(len, parts[: kept + 1])) <= cut:
        kept += 1
    read = all_frames(whole[:cut])
    assert [f.payload for f in read if isinstance(f, Frame)] == [p for p, _, _ in written[:kept]]
    torn = cut > sum(map(len, parts[:kept]))
    assert [f for f in read if isinstance(f, Damage)] == [Damage(None, 0)] * torn


@given(frames, frames, st.data())
def test_a_changed_byte_never_passes_for_what_was_written(
    one: tuple[bytes, int, int], two: tuple[bytes, int, int], data: st.DataObject
) -> None:
    first = framed(*one)
    at = data.draw(st.integers(0, len(first) - 1))
    flipped = bytearray(first)
    flipped[at] ^= data.draw(st.integers(1, 255))
    read = read_frame(bytes(flipped) + framed(*two), 0, is_all=True)
    assert isinstance(read, Damage)
    if at >= 4:  # the length is whole, so what follows can still be found
        assert read.end == len(first)


def test_after_a_power_cut_zeros_are_no_frames() -> None:
    assert read_frame(bytes(HEADER_BYTES + 10), 0, is_all=True) == Damage(None, 0)


def test_a_frame_that_has_not_come_in_whole_asks_for_more() -> None:
    data = framed(b"payload", 1, 0)
    for cut in range(len(data)):
        assert read_frame(data[:cut], 0, is_all=False) is None
