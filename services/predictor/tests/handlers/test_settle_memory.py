"""What a load took and no longer needs goes back to the system."""

import ctypes
from pathlib import Path

import pytest

from predictor.handlers.load import settle_memory

BLOCK, BLOCKS = 64 * 1024, 1600
"""A hundred megabytes in blocks that glibc takes from its heap, not from the system one by one."""
_libc = ctypes.CDLL(None)


def resident() -> int:
    """Bytes of this process that are in memory."""
    (line,) = (
        each
        for each in Path("/proc/self/status").read_text().splitlines()
        if each.startswith("VmRSS:")
    )
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not hasattr(_libc, "malloc_trim"), reason="this C library keeps no such memory")
def test_memory_that_a_load_freed_goes_back_to_the_system() -> None:
    _libc.malloc.restype = ctypes.c_void_p
    _libc.free.argtypes = [ctypes.c_void_p]
    blocks = [_libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    *freed, kept = blocks  # the last one: it holds the heap open above the others
    for block in freed:
        _libc.free(block)
    before = resident()
    settle_memory()
    given_back = before - resident()
    _libc.free(kept)
    assert given_back > 0.9 * BLOCK * BLOCKS
