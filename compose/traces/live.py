# ruff: noqa: T201 - it is a command
"""Lets a demo send its traces to Jaeger or MLflow, and looks for a turn of the loop in them.

    live.py -- .venv/bin/tailrace demo               # Jaeger if there is one on PATH, else MLflow
    live.py --backend mlflow -- .venv/bin/tailrace demo

Requests are sampled as elsewhere (TRACE_REQUEST_RATIO, here 0.002); what decides is always traced.
Exit code 1 when no graph of spans holds a whole turn of the loop, or a span has lost its parent.
"""

import argparse
import os
import signal
import subprocess
import sys
import time

import backends
import graph

LATE_SECONDS = 60.0
"""How long the last spans may be on their way."""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Look for a turn of the loop in its traces.")
    parser.add_argument("--backend", choices=("jaeger", "mlflow"), help="where the traces go")
    parser.add_argument("command", nargs="+", help="a demo, after --")
    options = parser.parse_args()
    # Told to stop by whatever means, it takes the demo down with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with backends.chosen(options.backend) as backend:
        environment = {"TRACE_REQUEST_RATIO": "0.002", **os.environ, **backend.environment}
        running = subprocess.Popen([*options.command, *backend.command], env=environment)
        try:
            code = running.wait()
            spans, whole = _read(backend)
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                running.wait()
            if backend.command:  # it was told to stay up for us
                home = os.environ.get("TAILRACE_HOME") or ".tailrace"
                down = [options.command[0], "down"]
                subprocess.run(down, env={**os.environ, "TAILRACE_HOME": f"{home}/demo"})
    if code:
        print(f"The command ended with code {code}.")
    return int(not _tell(backend.name, spans, whole) or code != 0)


def _read(backend: backends.Backend) -> tuple[list[graph.Span], list[list[graph.Span]]]:
    until = time.monotonic() + LATE_SECONDS
    while True:
        spans = backend.spans()
        whole = graph.turns(spans)
        if (whole and not graph.orphans(spans)) or time.monotonic() > until:
            return spans, whole
        time.sleep(2)


def _tell(name: str, spans: list[graph.Span], whole: list[list[graph.Span]]) -> bool:
    """Print what was found; whether it is as it should be."""
    traces = len({span.id.partition("/")[0] for span in spans})
    lost = graph.orphans(spans)
    print(
        f"{name} has {len(spans):,} spans in {traces:,} traces; {len(lost)} without their parent."
    )
    for span in lost[:10]:
        print(f"  no parent: {span.name} ({span.service or 'HTTP'}), trace {span.id}")
    for number, each in enumerate(whole, 1):
        joined = {span.id.partition("/")[0] for span in each}
        print(f"Turn {number} of the loop: {len(each)} spans in {len(joined)} traces, linked.")
        for line in graph.story(each):
            print(f"  {line}")
    if not whole:
        seen = {span.handled for each in graph.graphs(spans)[:1] for span in each}
        print(f"No graph holds a turn of the loop; the largest lacks {sorted(graph.TURN - seen)}.")
    return bool(whole) and not lost


if __name__ == "__main__":
    sys.exit(main())
