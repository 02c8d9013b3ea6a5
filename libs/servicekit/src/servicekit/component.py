"""What a process is made of, beside its HTTP server."""

import threading
from typing import Protocol


class Component(Protocol):
    """Something that runs until it is told to stop; the loops are components."""

    name: str
    ready: bool
    """Whether it can do its work now; all together make /readyz."""

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; an exception ends the whole process with exit code 1."""
        ...
