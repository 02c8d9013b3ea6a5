"""The whole loop on the embedded broker, as a user runs it, while each service is killed once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from local.stack.services import SERVICES, Service

ROOT = Path(__file__).parents[2]
TOOL = Path(sys.executable).with_name("tailrace")
EAGER = {
    "temp: 0.55": "temp: 0.20",
    "window: P7D": "window: P2D",
    "min_rows: 5000 # of about 6,300": "min_rows: 1000 # of about 1,800",
    "consecutive: 2": "consecutive: 1",
    "loss_margin: 0.10": "loss_margin: 0.50",
    "min_labelled: 200": "min_labelled: 50",
    "probation_labelled: 2000": "probation_labelled: 300",
    "probation_margin: 0.15": "probation_margin: 0.50",
    "error_margin: 0.01": "error_margin: 0.50",
    "cooldown: P10D": "cooldown: P2D",
    "min_new_rows: 5000": "min_new_rows: 1000",
}
"""Policies under which three weeks hold a whole turn of the loop, by what they replace."""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The models of this repository, with the eager policies."""
    folder = tmp_path / "models"
    for path in (ROOT / "models").rglob("*"):
        if path.suffix in {".py", ".yaml"} and "tests" not in path.parts:
            copy = folder / path.relative_to(ROOT / "models")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    description = folder / "flight_delay" / "model.yaml"
    text = description.read_text()
    for usual, eager in EAGER.items():
        assert text.count(usual) == 1, usual
        text = text.replace(usual, eager)
    description.write_text(text)
    return folder


@pytest.fixture
def environment(stack_of: Callable[[Path], dict[str, str]], models: Path) -> dict[str, str]:
    """A stack of its own with the eager models."""
    return stack_of(models)


class Demo:
    """A demo that is under way."""

    def __init__(self, environment: dict[str, str], folder: Path, *options: str) -> None:
        self.report = folder / "report"
        self.log = folder / "demo.log"
        self._environment = environment
        self._stack = environment | {"TAILRACE_HOME": environment["TAILRACE_HOME"] + "/demo"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [TOOL, "demo", "--report", self.report, *options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def parts(self) -> dict[str, dict[str, Any]]:
        """What `tailrace status` says of each part; empty while the stack is not up."""
        done = subprocess.run(
            [TOOL, "status", "--json"], env=self._stack, capture_output=True, text=True, timeout=60
        )
        return {p["name"]: p for p in json.loads(done.stdout)} if done.stdout else {}

    def until(self, what: str, done: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so, as long as the demo runs."""
        give_up = time.monotonic() + seconds
        while not done():
            assert self.process.poll() is None, f"the demo ended before {what}:\n{self.end()}"
            assert time.monotonic() < give_up, f"{what}: not in {seconds:g} s:\n{self.end()}"
            time.sleep(0.1)

    def kill(self, service: Service, pid: int) -> None:
        """Kill a service as a machine does that fails, and wait until it is back."""
        os.kill(pid, signal.SIGKILL)
        port = self._stack[service.port_variable]

        def back() -> bool:
            if psutil.pid_exists(pid):
                return False
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        self.until(f"{service.name} is back", back, 120)

    def stop(self) -> None:
        """Take everything down, however far it is."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run([TOOL, "down"], env=self._stack, capture_output=True, timeout=60)

    def end(self) -> str:
        """The last lines that were printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])


@pytest.fixture
def demo(environment: dict[str, str], tmp_path: Path) -> Iterator[Demo]:
    period = ("--from", "2013-02-01", "--to", "2013-03-02")
    running = Demo(environment, tmp_path, *period, "--speed", "0.5", "--no-sabotage")
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_every_service_is_killed_once_and_nothing_is_lost_or_counted_twice(demo: Demo) -> None:
    demo.until("predictions flow", lambda: "predictions," in demo.log.read_text(), 180)
    parts = demo.parts()
    for service in SERVICES:
        demo.kill(service, parts[service.name]["pid"])
    restarts = {name: part["restarts"] for name, part in demo.parts().items()}
    assert restarts == {name: int(name in {s.name for s in SERVICES}) for name in restarts}

    demo.until("it is done", lambda: (demo.report / "report.json").exists(), 300)
    report = json.loads((demo.report / "report.json").read_text())
    counts = {name: report[name] for name in report if isinstance(report[name], int)}
    # A predictor that starts anew answers 503 until it has its version; the client asks again.
    failed = {check for check, passed in report["checks"].items() if not passed}
    assert failed <= {"no request failed"}, (failed, counts, demo.end())
    assert report["predictions_failed"] == 0
    assert report["predictions_requested"] == report["distinct_prediction_ids"] > 10_000
    assert report["labels_joined"] == report["labels_sent"] > 10_000

    # The loop turned meanwhile: drift, a retraining, a canary, and a new champion.
    assert {"drift.detected"} <= {event["event"] for event in report["drift"]}
    whole = [r for r in report["rollouts"] if r["challenger"] and r["outcome"] == "promoted"]
    assert whole, report["rollouts"]
    assert [s["weight"] for s in whole[0]["steps"]] == [0.1, 0.5, 1.0, 0.0]
