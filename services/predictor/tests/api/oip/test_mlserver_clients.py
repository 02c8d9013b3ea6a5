"""MLServer's clients; its pins are not ours, so they run in an environment of their own."""

import os
import subprocess
from pathlib import Path

import pytest
from services.predictor.tests.api.oip.ports import Ports

PYTHON = os.environ.get("MLSERVER_PYTHON")


@pytest.mark.skipif(PYTHON is None, reason="make test-conformance makes MLServer's environment")
def test_its_types_codecs_and_command_are_answered_over_http_and_grpc(served: Ports) -> None:
    script = Path(__file__).with_name("mlserver_client.py")
    command = [str(PYTHON), str(script), served.http, served.grpc]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 150
