"""Events in, events out: the windows of the drift monitor."""

from drift_monitor.handlers.windows import WindowsHandlers

__all__ = ["WindowsHandlers"]
