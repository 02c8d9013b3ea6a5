"""wrk, and what a server took meanwhile."""

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = (1, 32, 128)
_SCRIPT = """
local i = 0
function request()
  i = i % #bodies + 1
  return wrk.format("POST", path, {["content-type"] = "application/json"}, bodies[i])
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests": %d, "rps": %.2f, "p50_ms": %.4f, "p99_ms": %.4f,'
    .. ' "p999_ms": %.4f, "errors": %d}\\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency:percentile(99.9) / 1e3,
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Sample:
    """One point: a server under load from some connections."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    errors: int
    cpu_us: float
    """Processor time of all of the server's processes, a request."""
    pss_mb: float
    """Memory of all of the server's processes; what they share is counted once."""


def write_script(path: Path, url_path: str, sent: list[str]) -> Path:
    """wrk's script, which goes round some bodies."""
    listed = ",\n".join(f"[==[{body}]==]" for body in sent)
    path.write_text(f"local path = '{url_path}'\nlocal bodies = {{\n{listed}\n}}\n{_SCRIPT}")
    return path


def load(
    url: str,
    script: Path,
    connections: int,
    seconds: float,
    pid: int,
    cores: str = str(LOAD_CORE),
) -> Sample:
    """Load a server for some seconds.

    Args:
        url: of the server.
        script: from `write_script`.
        connections: each sends its next request when it has its answer.
        seconds: of load.
        pid: of the server; its children count as well.
        cores: that the load runs on.
    """
    command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{connections}"]
    command += [f"-d{seconds:g}s", "--timeout", "10s", "-s", str(script), url]
    before = _cpu_seconds(pid)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = json.loads(said.split("RESULT ")[1])
    used = _cpu_seconds(pid) - before
    return Sample(
        **result, cpu_us=round(used / max(1, result["requests"]) * 1e6, 1), pss_mb=_memory(pid)
    )


def as_json(sample: Sample) -> dict[str, float]:
    """A sample for the file of results."""
    return asdict(sample)


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu_seconds(pid: int) -> float:
    total = 0.0
    for each in _family(pid):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _memory(pid: int) -> float:
    total = 0
    for each in _family(pid):
        try:
            total += each.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return round(total / 1e6, 1)
