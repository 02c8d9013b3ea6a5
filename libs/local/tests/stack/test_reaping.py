"""A part that ends while its child lives leaves nothing that is watched."""

import asyncio
import os
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from circus.stream import Redirector
from tornado.ioloop import IOLoop

from local.stack.reaping import unwatch

# One write, so that all its words are in the pipe as soon as the first of them is.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
os.write(1, f"{child.pid} last words\\n".encode())
time.sleep(60)
"""


async def killed(worker: "subprocess.Popen[bytes]", said: list[bytes], hooked: bool) -> None:
    """Kill a part whose child goes on, and give the number of its pipe to another."""
    assert worker.stdout is not None
    pipe, loop = worker.stdout.fileno(), IOLoop.current()
    redirector = Redirector(lambda given: said.append(given["data"]), None, loop=loop)
    redirector.start()
    said.append(os.read(pipe, 1))  # it has begun, and the rest of its words is in the pipe
    process = SimpleNamespace(
        pid=worker.pid, stdout=worker.stdout, pipe_stdout=True, pipe_stderr=False
    )
    redirector.add_redirections(process)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    watcher: Any = SimpleNamespace(processes={worker.pid: process}, stream_redirector=redirector)
    if hooked:
        assert unwatch(watcher, worker.pid, time=0.0)
    else:
        said.append(os.read(pipe, 100))
    worker.stdout.close()
    others = os.pipe()
    os.dup2(others[0], pipe)
    try:
        loop.add_handler(pipe, lambda *_: None, IOLoop.READ)
        loop.remove_handler(pipe)
    finally:
        for each in {*others, pipe}:
            os.close(each)


def part() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)


def end_child(said: list[bytes]) -> None:
    pid, words = b"".join(said).decode().split(maxsplit=1)
    os.kill(int(pid), signal.SIGKILL)
    assert words == "last words\n"


def test_the_pipe_of_a_killed_part_is_not_watched_though_its_child_keeps_it_open() -> None:
    said: list[bytes] = []
    asyncio.run(killed(part(), said, hooked=True))
    end_child(said)


def test_circus_alone_goes_on_watching_it() -> None:
    said: list[bytes] = []
    with pytest.raises(ValueError, match="added twice"):  # else the hook has become superfluous
        asyncio.run(killed(part(), said, hooked=False))
    end_child(said)


def test_a_part_that_is_not_known_any_more_is_passed_over() -> None:
    assert unwatch(SimpleNamespace(processes={}, stream_redirector=None), 1)
