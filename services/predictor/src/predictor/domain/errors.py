"""Why a request gets no prediction, a version is not loaded, or a table is not scored.

    RefusalError                 the caller gets it as its answer
    ├── BadRequestError          the request has to change
    │   └── UnknownModelError    names a model that nobody routes
    ├── NotAllowedError          this caller may not do that
    │   └── UnauthenticatedError nobody knows who asks
    └── CannotAnswerError        the request is fine; it may work later, or on another replica
        ├── ModelFailedError     the version itself broke on this row
        ├── DeadlineError        there was no time for it
        └── OverloadedError      too much is under way
            └── OverShareError   for this model alone
    LoadError                    the version stays out; whoever made it acts
    ScoreError                   a table is not scored; whoever asked acts

An outage of what the predictor loads from is the kit's `UnavailableError`: it is tried again.
"""


class RefusalError(Exception):
    """A request that gets no prediction; `code` is for programs, the text for people."""

    retry_after: int | None = None
    """Seconds that the caller is to wait; None: what the service is set to."""

    def __init__(self, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


class BadRequestError(RefusalError):
    """The request breaks the contract; `field` says where, the text how to mend it."""


class UnknownModelError(BadRequestError):
    """The request names a model that has no route."""


class NotAllowedError(RefusalError):
    """The request is fine, and its caller may not make it."""


class UnauthenticatedError(NotAllowedError):
    """The request needs a token, and brings none or another."""


class CannotAnswerError(RefusalError):
    """Something that the predictor depends on is missing for now."""


class ModelFailedError(CannotAnswerError):
    """The version could not score the row."""


class DeadlineError(CannotAnswerError):
    """The request was not answered before its deadline, or could not be any more."""


class OverloadedError(CannotAnswerError):
    """The predictor has no room."""

    def __init__(self, code: str, message: str, *, retry_after: int) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class OverShareError(OverloadedError):
    """The predictor has room, which is kept for other models."""


class LoadError(Exception):
    """A version that cannot be loaded, however often it is tried.

    `reason` is one word for metrics: `address`, `sha256`, `missing`, `too_large`, `format`,
    `unreadable`, `untrusted`, `signature`, `memory`, `endless`, `crashed`, `features` or `step`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ScoreError(Exception):
    """Whoever asked has to change something; the text says what. Nothing was written."""


def shown(value: object, limit: int = 60) -> str:
    """A value as it may be repeated to its sender: short."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
