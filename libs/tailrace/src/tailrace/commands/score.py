"""`tailrace score`: a table in, a table of predictions out. The predictor's own entry does it."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec

import typer

from local.errors import StackError

PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
"""All options are passed on: the entry knows and explains them."""


def score(context: typer.Context) -> None:
    """Score a table of the lake with the version in force (--help lists the options)."""
    from local.stack.plan import plan
    from local.stack.settings import stack_settings

    if find_spec("predictor") is None:
        raise StackError(
            "tailrace score needs the package predictor: install it, or run"
            " `python -m predictor.batch` in its image"
        )
    (part,) = plan(stack_settings(), ("predictor",)).parts
    # What the shell sets goes before what the local stack would have.
    environment = {**part.environment, **os.environ}
    # The entry gets Ctrl-C by itself; one that was ignored here would be ignored there as well.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "predictor.batch", *context.args], env=environment, check=False
        )
    finally:
        signal.signal(signal.SIGINT, before)
    raise typer.Exit(done.returncode)
