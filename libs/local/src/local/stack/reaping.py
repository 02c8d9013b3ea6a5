"""What is done about a part that has ended; circus asks before it reaps (its hook `before_reap`).

Circus closes the pipes of such a process, and goes on watching them where it has not read their
end. A child that outlives the process keeps them open, so there is none: the next part whose pipe
gets the same number could then not be watched, and would never start again.
"""

import os
from typing import Any

CHUNK_BYTES = 64 * 1024


def unwatch(watcher: Any, process_pid: int, **_: Any) -> bool:
    """Write down the last words of a process, and watch its pipes no longer."""
    process, redirector = watcher.processes.get(process_pid), watcher.stream_redirector
    if process is None or redirector is None:
        return True
    for name, pipe in redirector.get_process_pipes(process):
        if not pipe.closed:
            for data in _read_rest(pipe.fileno()):
                redirector.redirect[name]({"data": data, "pid": process_pid, "name": name})
    redirector.remove_redirections(process)
    return True


def _read_rest(pipe: int) -> list[bytes]:
    """What can be read of a pipe without waiting."""
    os.set_blocking(pipe, False)
    found: list[bytes] = []
    try:
        while data := os.read(pipe, CHUNK_BYTES):
            found.append(data)
    except BlockingIOError:
        pass  # a child may still write to it
    return found
