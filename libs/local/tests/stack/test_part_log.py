"""Logs hold whole lines, and do not grow for ever."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from local.stack.part_log import PartLog, RotatingFile


def stream(path: Path, max_bytes: int = 10_000) -> PartLog:
    return PartLog(filename=str(path), max_bytes=max_bytes, backups=2)


def test_two_streams_of_a_part_do_not_cut_each_others_lines(tmp_path: Path) -> None:
    out, err = stream(tmp_path / "x.log"), stream(tmp_path / "x.log")
    out({"pid": 1, "data": b"half a "})
    err({"pid": 1, "data": b"an error\n"})
    out({"pid": 1, "data": b"line\n"})
    out.close()
    assert (tmp_path / "x.log").read_bytes() == b"an error\nhalf a line\n"


def test_last_words_without_an_end_of_line_are_kept(tmp_path: Path) -> None:
    out = stream(tmp_path / "y.log")
    out({"pid": 1, "data": b"Segmentation fault"})
    out.close()
    assert (tmp_path / "y.log").read_bytes() == b"Segmentation fault\n"


def test_a_full_file_is_put_aside_and_the_oldest_is_dropped(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "z.log", max_bytes=10, backups=2)
    for line in (b"1111111\n", b"2222222\n", b"3333333\n", b"4444444\n"):
        file.write(line)
    file.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "z.log": b"4444444\n",
        "z.log.1": b"3333333\n",
        "z.log.2": b"2222222\n",
    }


@settings(deadline=None)
@given(text=st.text(), cuts=st.lists(st.integers(0, 200)))
def test_wherever_the_pipe_is_cut_the_text_stays_whole(
    tmp_path_factory, text: str, cuts: list[int]
) -> None:
    data, path = (text + "\n").encode(), tmp_path_factory.mktemp("log") / "part.log"
    out = stream(path, max_bytes=10**6)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(edges):
        out({"pid": 1, "data": data[start:end]})
    out.close()
    assert path.read_bytes() == data
