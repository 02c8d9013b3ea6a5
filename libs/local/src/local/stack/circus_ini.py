"""The supervisor's configuration, written from the parts."""

import shlex

from local.servers.server import Server
from local.stack.layout import Layout

MARK = "TAILRACE_STACK"
"""Every process of a stack carries the stack's home folder in this variable."""

PART_MARK = "TAILRACE_PART"
"""And in this one the name of the part that it belongs to."""

CHECK_DELAY = 2.0
"""Seconds between two looks at the processes, so the longest time until a dead one is replaced."""

LOG_BYTES = 5_000_000
LOG_BACKUPS = 2


def render(parts: tuple[Server, ...], layout: Layout, control: str, events: str) -> str:
    """The text of circus.ini.

    Args:
        parts: What is supervised.
        layout: Where logs and start times go.
        control: ZeroMQ address on which the supervisor takes commands.
        events: ZeroMQ address on which it publishes what happens.
    """
    sections = [
        _section(
            "circus",
            {
                "endpoint": control,
                "pubsub_endpoint": events,
                # Circus would join a UDP multicast group to be found by others.
                "multicast_endpoint": "",
                "check_delay": f"{CHECK_DELAY:g}",
                "statsd": "False",
                "httpd": "False",
            },
        )
    ]
    for part in parts:
        sections.append(_section(f"watcher:{part.name}", _watcher(part, layout)))
        marks = {MARK: str(layout.home), PART_MARK: part.name, "PYTHONUNBUFFERED": "1"}
        sections.append(_section(f"env:{part.name}", {**marks, **part.environment}))
    return "# Written by `tailrace up`; a change here is lost.\n\n" + "\n".join(sections)


def _watcher(part: Server, layout: Layout) -> dict[str, str]:
    stream = {
        "class": "local.stack.part_log.PartLog",
        "filename": str(layout.log(part.name)),
        "max_bytes": str(LOG_BYTES),
        "backups": str(LOG_BACKUPS),
    }
    return {
        "cmd": shlex.join(part.command),
        "working_dir": str(layout.data / part.name),
        # Credentials for S3 and the like come from the shell of `up`, not from this file.
        "copy_env": "True",
        "singleton": "True",
        "priority": str(part.stage.value),
        "graceful_timeout": f"{part.grace:g}",
        "stop_children": str(part.stop_children),
        "hooks.before_spawn": "local.stack.restarts.allow_start",
        "hooks.before_reap": "local.stack.reaping.unwatch",
        "starts_file": str(layout.starts(part.name)),
        **{f"stdout_stream.{key}": value for key, value in stream.items()},
        **{f"stderr_stream.{key}": value for key, value in stream.items()},
    }


def _section(name: str, options: dict[str, str]) -> str:
    lines = [f"{key} = {value}".rstrip() for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])
