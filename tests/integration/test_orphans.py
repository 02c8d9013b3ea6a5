"""A service whose broker never was there waits for it, cheaply, and ends when it is told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from local.process import free_port

WATCHED_SECONDS = 2.0
GRACE_SECONDS = 15.0


@pytest.mark.integration
def test_a_service_without_brokers_takes_next_to_no_time_and_ends_when_told(
    tmp_path: Path,
) -> None:
    port = free_port()
    log = tmp_path / "ingest.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest"],
            env={
                "PATH": os.environ["PATH"],
                "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
                "HTTP_PORT": str(port),
                "MODELS_DIR": str(tmp_path),
                "LAKE_URI": str(tmp_path / "lake"),
                "SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        until = time.monotonic() + 60
        while not _lives(port):
            assert time.monotonic() < until, log.read_text()
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        before, began = _used(process.pid), time.monotonic()
        while time.monotonic() - began < WATCHED_SECONDS:
            time.sleep(0.1)
        # A busy machine makes the wait longer, and not the processor time.
        assert _used(process.pid) - before < 0.25 * WATCHED_SECONDS, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS + 45) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _lives(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/livez", timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def _used(pid: int) -> float:
    """Processor time of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
