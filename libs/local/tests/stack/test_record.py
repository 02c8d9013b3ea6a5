"""What `up` writes down is what the other commands read."""

from collections.abc import Callable

from local.stack import record
from local.stack.layout import Layout
from local.stack.plan import plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


def test_a_record_is_read_as_it_was_written(settings: Build) -> None:
    given = settings(redis_url="redis://:geheim@cache:6379")
    layout = Layout(given.home)
    layout.run.mkdir(parents=True)
    written = record.Record("ipc://c", 42, "folder", record.recorded(plan(given)))
    record.write(written, layout)
    assert record.read(layout) == written
    assert [part.name for part in written.parts if part.stage is None] == ["valkey"]


def test_only_its_owner_reads_a_record(settings: Build) -> None:
    layout = Layout(settings().home)
    layout.run.mkdir(parents=True)
    record.write(record.Record("ipc://c", 42, "folder", ()), layout)
    assert layout.record.stat().st_mode & 0o077 == 0


def test_without_a_stack_there_is_no_record(settings: Build) -> None:
    assert record.read(Layout(settings().home)) is None
