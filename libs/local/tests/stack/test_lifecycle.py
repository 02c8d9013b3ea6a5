"""What is done once before a stack starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from local.errors import StackError
from local.stack.lifecycle import locked, prepare
from local.stack.plan import plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


def test_a_home_keeps_to_its_kind_of_broker(settings: Build, pom: Path) -> None:
    embedded, other = settings(), settings(broker="apache", kafka_pom=pom)
    layout = embedded.layout
    stack = plan(embedded, ("kafka",))
    prepare(stack, layout, embedded, print)
    prepare(stack, layout, embedded, print)
    with pytest.raises(StackError, match="holds the topics of BROKER=embedded NODES=1"):
        prepare(plan(other, ("kafka",)), layout, other, print)


def test_two_commands_never_start_or_stop_one_stack_at_once(settings: Build) -> None:
    layout = settings().layout
    with (
        locked(layout),
        pytest.raises(StackError, match="another tailrace up or down is at work"),
        locked(layout),
    ):
        pass
