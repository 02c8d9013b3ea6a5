# ruff: noqa: T201 - it is a command
"""Lets a real Prometheus scrape the local stack: has every panel data, and which alerts fire?

    live.py --alerts DriftDetected,RolloutRolledBack -- .venv/bin/tailrace demo
    live.py --seconds 60        # a stack that is up already, and answers somebody

Ports are those of `.env.example`, from the same variables. Everything is looked at every few
seconds until the command ends; a panel passes that had data once. Exit code 1 names the panels that
never had any, and, with --alerts, the alerts that fired unnamed or were named and did not fire.
"""

import argparse
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from expressions import RULES, filled, targets

PORTS = {
    "ingest": ("INGEST_PORT", 18081),
    "trainer": ("TRAINER_PORT", 18082),
    "deployer": ("DEPLOYER_PORT", 18083),
    "predictor": ("PREDICTOR_PORT", 18080),
    "drift-windows": ("WINDOWS_PORT", 18084),
    "drift-watch": ("WATCH_PORT", 18085),
}
EVERY_SECONDS = 3.0


def configuration() -> dict[str, Any]:
    """The committed scrape configuration for the local stack: its ports, and every second."""
    jobs = [
        {
            "job_name": job,
            "static_configs": [
                {
                    "targets": [f"127.0.0.1:{os.environ.get(variable) or port}"],
                    "labels": {"part_of": "tailrace"},
                }
            ],
        }
        for job, (variable, port) in PORTS.items()
    ]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yaml")],
        "scrape_configs": jobs,
    }


class Prometheus:
    """Its HTTP API."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=2):  # noqa: S310
                return True
        except OSError:
            return False

    def query(self, expression: str) -> list[Any]:
        """What an expression gives now; NaN is no data.

        Raises:
            RuntimeError: it was refused.
        """
        words = urllib.parse.urlencode({"query": expression})
        try:
            url = f"{self._base}/api/v1/query?{words}"
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                found = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{expression}: {error.read().decode()}") from error
        return [each for each in found if not math.isnan(float(each["value"][1]))]


@contextmanager
def prometheus() -> Iterator[Prometheus]:
    """A Prometheus of our own on a free port of loopback, gone afterwards."""
    binary = shutil.which("prometheus")
    if binary is None:
        sys.exit(
            "prometheus is missing: apt-get install -y --no-install-recommends prometheus"
            " (or put the release of your system on PATH)"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="prometheus-") as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text(yaml.safe_dump(configuration()))
        process = subprocess.Popen(
            [
                binary,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
        )
        try:
            server = Prometheus(port)
            until = time.monotonic() + 30
            while not server.ready():
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit("prometheus did not start; its words are above")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(10)


class Seen:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.empty = {each: filled(each[2]) for each in targets()}
        """Queries that never had data."""
        self.count = len(self.empty)
        self.alerts: dict[str, str] = {}
        """What the first firing of each alert was about."""

    def look(self, server: Prometheus) -> None:
        """Ask everything that is still open."""
        for each, expression in list(self.empty.items()):
            if server.query(expression):
                del self.empty[each]
        for alert in server.query('ALERTS{alertstate="firing"}'):
            labels = dict(alert["metric"])
            name = labels.pop("alertname")
            for common in ("__name__", "alertstate", "severity"):
                labels.pop(common, None)
            self.alerts.setdefault(name, ", ".join(f"{k}={v}" for k, v in sorted(labels.items())))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Check dashboards and alerts on a live stack.")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long, without a command")
    parser.add_argument("--alerts", help="comma-separated: exactly these have to fire")
    parser.add_argument(
        "--alerts-only", action="store_true", help="panels without data are told, and no fault"
    )
    parser.add_argument("command", nargs="*", help="what to run meanwhile, after --")
    chosen = parser.parse_args()
    seen = Seen()
    with prometheus() as server:
        running = subprocess.Popen(chosen.command) if chosen.command else None
        until = time.monotonic() + chosen.seconds
        try:
            while running.poll() is None if running else time.monotonic() < until:
                seen.look(server)
                time.sleep(EVERY_SECONDS)
        finally:
            if running and running.poll() is None:
                running.send_signal(signal.SIGINT)
                running.wait()
    wrong = bool(seen.empty) and not chosen.alerts_only
    tell(seen)
    if running and running.returncode:
        print(f"The command ended with code {running.returncode}.")
        wrong = True
    if chosen.alerts is not None:
        named = {name for name in chosen.alerts.split(",") if name}
        for name in sorted(named ^ seen.alerts.keys()):
            print(f"  {name} {'did not fire' if name in named else 'was not to fire'}")
            wrong = True
    return int(wrong)


def tell(seen: Seen) -> None:
    """Print what was seen."""
    print(f"{seen.count - len(seen.empty)} of {seen.count} queries of the dashboards had data.")
    for (board, panel, _), expression in seen.empty.items():
        print(f"  no data: {board} / {panel}: {expression}")
    print("Alerts that fired:" if seen.alerts else "No alert fired.")
    for name, about in sorted(seen.alerts.items()):
        print(f"  {name} ({about})")


if __name__ == "__main__":
    sys.exit(main())
