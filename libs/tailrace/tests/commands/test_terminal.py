"""An error that a person can act on ends a command with one line and its code."""

import signal
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from local.errors import StackError
from tailrace.commands.terminal import Commands, fail, interruptible


def run(command: Any) -> Any:
    app = typer.Typer(cls=Commands)
    app.callback()(lambda: None)
    app.command("try")(command)
    return CliRunner().invoke(app, ["try"])


def test_an_error_of_the_stack_is_a_line_and_code_1() -> None:
    def command() -> None:
        raise StackError("start [it] first")

    done = run(command)
    assert (done.exit_code, done.output) == (1, "✗ start [it] first\n")


def test_fault_4_13_a_package_that_an_image_lacks_is_a_line_that_names_it() -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'circus.client'", name="circus.client")

    done = run(command)
    assert done.exit_code == 1
    assert done.output.startswith("✗ root try needs the package circus, which is not installed")
    assert "tailrace[local]" in done.output


def test_a_module_of_our_own_that_is_missing_is_no_matter_of_installing() -> None:
    def command() -> None:
        raise ModuleNotFoundError("No module named 'tailrace.lost'", name="tailrace.lost")

    assert isinstance(run(command).exception, ModuleNotFoundError)


def test_a_command_can_fail_with_a_code_of_its_own() -> None:
    done = run(lambda: fail("no such event", 2))
    assert (done.exit_code, done.output) == (2, "✗ no such event\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_does_not_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as stopped:
        assert not stopped()
        signal.raise_signal(number)
        assert stopped()
    assert signal.getsignal(number) is before
