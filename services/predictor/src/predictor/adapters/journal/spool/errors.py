"""What can go wrong with a spool: its folder, or a batch for which SPOOL_FULL says what to do."""


class SpoolError(Exception):
    """Root of a spool's errors."""


class SpoolUnusableError(SpoolError):
    """The folder cannot hold a spool; the text says why, and how to mend it."""


class NotSpooledError(SpoolError):
    """A batch is not in the spool; `reason` is one word for metrics."""

    reason: str


class SpoolFullError(NotSpooledError):
    """The batch would take the spool over its bound."""

    reason = "full"


class DiskFailedError(NotSpooledError):
    """The operating system did not write the batch, or not all of it."""

    reason = "disk"
