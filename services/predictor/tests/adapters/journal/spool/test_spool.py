"""The spool as its user sees it: what was appended is read in order until it is delivered."""

import resource
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from predictor.adapters.journal.spool.slots import SpoolUnusableError
from predictor.adapters.journal.spool.spool import (
    SMALLEST_SEGMENT,
    DiskFailedError,
    Spool,
    SpoolFullError,
)

BIG = 10**9


def payloads(spool: Spool) -> list[bytes]:
    """All that is left to read."""
    found: list[bytes] = []
    while batch := [frame.payload for frame, _ in spool.read(BIG)]:
        found += batch
    return found


def abandon(spool: Spool) -> None:
    """As a kill does it: the lock goes, and nothing is tidied up."""
    spool._slot.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_batches_are_read_in_their_order_and_survive_a_kill(folder: Path) -> None:
    spool = Spool(folder, BIG)
    for n in range(5):
        spool.append(b"%d" % n, 1, n)
    abandon(spool)
    again = Spool(folder, BIG)
    again.append(b"5", 1, 5)
    assert payloads(again) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert payloads(again) == []
    again.rewind()
    assert len(payloads(again)) == 6
    again.close()


def test_what_was_delivered_is_not_read_after_a_kill(folder: Path) -> None:
    spool = Spool(folder, BIG)
    for n in range(5):
        spool.append(b"%d" % n, 1, n)
    places = [place for _, place in spool.read(BIG)]
    spool.mark_delivered(places[2])
    abandon(spool)
    again = Spool(folder, BIG)
    assert payloads(again) == [b"3", b"4"]
    again.mark_delivered(again.read_from)
    assert again.waiting_bytes == 0
    assert again.close() == 0
    assert not list(folder.glob("0/*.spool")), "nothing stays behind when nothing waits"


def test_numbers_of_files_are_not_used_again_after_a_clean_end(folder: Path) -> None:
    for n in range(3):
        spool = Spool(folder, BIG)
        spool.append(b"%d" % n, 1, n)
        assert payloads(spool) == [b"%d" % n]
        spool.mark_delivered(spool.read_from)
        spool.close()


def test_a_batch_that_was_cut_off_by_a_kill_is_passed_over(folder: Path) -> None:
    lost: list[int] = []
    spool = Spool(folder, BIG)
    spool.append(b"whole", 1, 0)
    spool.append(b"cut off", 7, 0)
    abandon(spool)
    (file,) = folder.glob("0/*.spool")
    file.write_bytes(file.read_bytes()[:-3])
    again = Spool(folder, BIG, on_lost=lost.append)
    again.append(b"new", 1, 0)
    assert payloads(again) == [b"whole", b"new"]
    assert lost == [], "nobody was answered for it"
    again.mark_delivered(again.read_from)
    assert again.waiting_bytes == 0
    again.close()


def test_a_batch_that_the_disk_has_changed_is_told_and_the_rest_is_read(folder: Path) -> None:
    lost: list[int] = []
    spool = Spool(folder, BIG, on_lost=lost.append)
    for word in (b"first", b"second", b"third"):
        spool.append(word, 4, 0)
    (file,) = folder.glob("0/*.spool")
    file.write_bytes(file.read_bytes().replace(b"second", b"sEcond"))
    assert payloads(spool) == [b"first", b"third"]
    assert lost == [4]
    spool.close()


def test_a_mark_that_is_unreadable_sends_all_again(folder: Path) -> None:
    spool = Spool(folder, BIG)
    spool.append(b"a", 1, 0)
    spool.append(b"b", 1, 0)
    spool.mark_delivered(next(spool.read(BIG))[1])
    abandon(spool)
    (folder / "0" / "delivered").write_bytes(b"\xff" * 20)
    again = Spool(folder, BIG)
    assert payloads(again) == [b"a", b"b"]
    again.close()


def test_at_the_bound_a_batch_is_refused_until_room_was_made(folder: Path) -> None:
    spool = Spool(folder, 4 * SMALLEST_SEGMENT)
    for _ in range(7):  # eight frames without their headers would fit
        spool.append(bytes(SMALLEST_SEGMENT // 2), 1, 0)
    with pytest.raises(SpoolFullError, match="wait for Kafka"):
        spool.append(bytes(SMALLEST_SEGMENT // 2), 1, 0)
    assert spool.waiting_bytes <= 4 * SMALLEST_SEGMENT
    frames = list(spool.read(BIG))
    spool.mark_delivered(frames[-1][1])
    spool.append(bytes(SMALLEST_SEGMENT // 2), 1, 0)
    spool.close()


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The operating system writes what fits and refuses the rest, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_takes_half_a_batch_keeps_none_of_it(folder: Path) -> None:
    spool = Spool(folder, BIG)
    spool.append(b"before", 1, 0)
    with files_no_larger_than(100), pytest.raises(DiskFailedError, match="File too large"):
        spool.append(bytes(1000), 1, 0)
    spool.append(b"after", 1, 0)
    assert payloads(spool) == [b"before", b"after"]
    spool.close()


def test_a_disk_that_takes_nothing_is_told_and_tried_again(folder: Path) -> None:
    spool = Spool(folder, BIG)
    with files_no_larger_than(0), pytest.raises(DiskFailedError):
        spool.append(b"lost", 1, 0)
    spool.append(b"kept", 1, 0)
    assert payloads(spool) == [b"kept"]
    spool.close()


def test_processes_that_share_a_folder_keep_out_of_each_others_way(folder: Path) -> None:
    one, two = Spool(folder, BIG), Spool(folder, BIG)
    assert one.folder != two.folder
    one.append(b"one", 1, 0)
    two.append(b"two", 1, 0)
    assert one.adopt() == two.adopt() == 0
    assert (payloads(one), payloads(two)) == ([b"one"], [b"two"])
    one.close()
    two.close()


def test_what_a_process_left_that_never_came_back_is_taken_over(folder: Path) -> None:
    here, gone = Spool(folder, BIG), Spool(folder, BIG)
    here.append(b"own", 1, 0)
    gone.append(b"left", 1, 0)
    abandon(gone)
    assert here.adopt() > 0
    here.append(b"own, later", 1, 0)
    assert payloads(here) == [b"own", b"left", b"own, later"]
    assert here.adopt() == 0
    here.close()


def test_a_slot_that_was_emptied_can_be_used_again(folder: Path) -> None:
    here, gone = Spool(folder, BIG), Spool(folder, BIG)
    gone.append(b"left", 1, 0)
    gone.mark_delivered(next(gone.read(BIG))[1])
    abandon(gone)
    here.adopt()
    again = Spool(folder, BIG)
    assert again.folder == gone.folder
    again.append(b"new", 1, 0)
    assert payloads(again) == [b"new"]
    again.close()
    here.close()


def test_a_folder_that_cannot_be_one_says_so_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusableError, match=r"SPOOL_DIR=.*file: .*ANSWER_AFTER=brokers"):
        Spool(tmp_path / "file", BIG)


class SpoolOfModel(RuleBasedStateMachine):
    """Any order of calls and kills, against a list."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.spool = Spool(self.root, 12 * SMALLEST_SEGMENT)
        self.waiting: list[bytes] = []
        self.handed: list[Any] = []
        self.count = 0

    @rule(size=st.integers(0, SMALLEST_SEGMENT + 100), times=st.integers(1, 3))
    def append(self, size: int, times: int) -> None:
        for _ in range(times):
            payload = b"%d:" % self.count + bytes(size)
            try:
                self.spool.append(payload, 1, 0)
            except SpoolFullError:
                return
            self.count += 1
            self.waiting.append(payload)

    @rule(size=st.sampled_from([1, 1000, BIG]))
    def read(self, size: int) -> None:
        for frame, place in self.spool.read(size):
            assert frame.payload == self.waiting[len(self.handed)]
            self.handed.append(place)

    @precondition(lambda self: self.handed)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(1, len(self.handed)))
        self.spool.mark_delivered(self.handed[n - 1])
        del self.waiting[:n], self.handed[:n]

    @rule()
    def rewind(self) -> None:
        self.spool.rewind()
        self.handed.clear()

    @rule(cut=st.booleans())
    def kill(self, cut: bool) -> None:
        abandon(self.spool)
        self.handed.clear()
        if cut:  # a frame that was begun
            newest = max(self.root.glob("0/*.spool"), default=None)
            if newest is not None:
                with newest.open("ab") as file:
                    file.write(b"\x40\0\0\0half a frame")
        self.spool = Spool(self.root, 12 * SMALLEST_SEGMENT)

    @rule()
    def end(self) -> None:
        self.spool.close()
        self.handed.clear()
        self.spool = Spool(self.root, 12 * SMALLEST_SEGMENT)

    @invariant()
    def nothing_waits_that_was_delivered(self) -> None:
        held = sum(len(payload) for payload in self.waiting)
        assert self.spool.waiting_bytes >= held

    def teardown(self) -> None:
        self.spool.rewind()
        assert payloads(self.spool) == self.waiting
        self.spool.close()
        shutil.rmtree(self.root)


TestSpoolOfModel = SpoolOfModel.TestCase
TestSpoolOfModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
