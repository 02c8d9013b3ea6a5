"""The generated configuration is read back by circus itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from circus.config import get_config

from local.stack import circus_ini
from local.stack.layout import Layout
from local.stack.plan import plan
from local.stack.settings import StackSettings

Build = Callable[..., StackSettings]


@pytest.fixture
def read(settings: Build, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def build(*only: str, home: str = "home") -> dict[str, Any]:
        given = settings(tailrace_home=tmp_path / home)
        text = circus_ini.render(plan(given, only).parts, Layout(given.home), "ipc://c", "ipc://e")
        file = tmp_path / "circus.ini"
        file.write_text(text)
        return get_config(str(file))

    return build


def test_no_socket_is_opened_but_the_two_of_ours(read: Callable[..., dict[str, Any]]) -> None:
    config = read("kafka")
    assert (config["endpoint"], config["pubsub_endpoint"]) == ("ipc://c", "ipc://e")
    assert not config["multicast_endpoint"]
    assert not config["statsd"]
    assert not config["httpd"]


def test_a_watcher_is_a_part(read: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    (watcher,) = read("trainer")["watchers"]
    home = tmp_path / "home"
    expected = {
        "name": "trainer",
        "graceful_timeout": 20.0,
        "priority": 0,
        "singleton": True,
        "copy_env": True,
        "stop_children": False,
        "working_dir": str(home / "data/trainer"),
        "starts_file": str(home / "run/trainer.starts"),
        "stdout_stream": watcher["stderr_stream"],
    }
    assert {key: watcher[key] for key in expected} == expected
    assert watcher["stdout_stream"]["filename"] == str(home / "logs/trainer.log")
    assert watcher["env"]["TAILRACE_STACK"] == str(home)
    assert watcher["env"]["TAILRACE_PART"] == "trainer"
    assert watcher["env"]["HTTP_PORT"] == "18082"


def test_a_home_with_blanks_and_signs_stays_one_word(
    read: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    import shlex

    (watcher,) = read("kafka", home="my 100% home (new)")["watchers"]
    assert shlex.split(watcher["cmd"])[-1] == str(tmp_path / "my 100% home (new)/data/kafka")
