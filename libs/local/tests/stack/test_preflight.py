"""Before anything is started, all that is wrong is reported at once."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.errors import StackError
from local.process import free_port
from local.stack import preflight
from local.stack.plan import Stack, plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_pass(settings: Build) -> None:
    preflight.check(plan(settings(valkey_port=free_port()), ("valkey",)))


def test_a_taken_port_is_reported_with_part_holder_and_variable(
    settings: Build, taken: int
) -> None:
    with pytest.raises(StackError) as error:
        preflight.check(plan(settings(valkey_port=taken), ("valkey",)))
    assert f"valkey cannot listen on 127.0.0.1:{taken}" in str(error.value)
    assert f"pid {os.getpid()}" in str(error.value)
    assert "VALKEY_PORT" in str(error.value)


def test_a_missing_command_is_reported_with_its_name(settings: Build, tmp_path: Path) -> None:
    part = plan(settings(ingest_port=free_port()), ("ingest",)).parts[0]
    absent = replace(part, command=(str(tmp_path / "ingest"),))
    with pytest.raises(StackError, match="needs the command ingest, which is not installed"):
        preflight.check(Stack((absent,), {}))


def test_one_of_your_own_that_does_not_answer_is_reported(settings: Build) -> None:
    stack = plan(
        settings(valkey_port=free_port(), kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"),
        ("kafka", "valkey"),
    )
    with pytest.raises(StackError, match="does not answer: start it, or unset KAFKA_BOOTSTRAP_SER"):
        preflight.check(stack)


def test_all_that_is_wrong_is_reported_at_once(settings: Build, taken: int) -> None:
    stack = plan(
        settings(valkey_port=taken, mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}"),
        ("valkey", "mlflow"),
    )
    with pytest.raises(StackError) as error:
        preflight.check(stack)
    assert len(str(error.value).splitlines()) == 2


def test_nothing_to_start_is_an_error(settings: Build) -> None:
    with pytest.raises(StackError, match="nothing to start"):
        preflight.check(Stack((), {}))
