"""What the predictor needs of the world."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, runtime_checkable

from event_schemas.task import Target
from predictor.domain.answer import Answer
from predictor.domain.batching import Lookup
from predictor.domain.errors import ModelFailedError
from predictor.domain.features import Input, Ref, Stored, Value
from servicekit.bus import Batch
from servicekit.errors import ServicekitError


class Artifacts(Protocol):
    """Where the files of model versions lie."""

    def warm_up(self) -> None:
        """Import what is slow to import, so that the first version does not wait for it."""
        ...

    def fetch(self, uri: str, sha256: str) -> Path:
        """The file at a URI, on this machine, with its digest checked.

        Raises:
            LoadError: there is no such file, or its digest is another.
            UnavailableError: it cannot be read now.
        """
        ...


class Model(Protocol):
    """A loaded model."""

    def answers(self, rows: Sequence[Sequence[Value]]) -> Sequence[Answer]:
        """The answer to each row; None in a row is a missing value.

        Raises:
            ModelFailedError: it broke on these rows.
        """
        ...


@runtime_checkable
class ChildModel(Protocol):
    """A model that runs in a child process, beside the event loop; it is a `Model` as well."""

    def submit(
        self, rows: Sequence[Sequence[Value]]
    ) -> "Future[Sequence[Answer | ModelFailedError]]":
        """Ask for the answers to rows, from any thread; each is an answer or a failure.

        The future fails with CannotAnswerError when the whole batch was lost.

        Raises:
            CannotAnswerError: too much waits already.
        """
        ...


class OpenModel(Protocol):
    """Opens model files."""

    def __call__(self, path: Path, inputs: Sequence[Input], target: Target) -> Model:
        """Load a file and try it on one row.

        Raises:
            LoadError: it cannot be read, takes other inputs, or answers something else.
        """
        ...


class OnlineFeatures(Protocol):
    """The newest value of each stored feature."""

    def warm_up(self) -> None:
        """Import what is slow to import, so that the first version does not wait for it."""
        ...

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """Make sure that these can be read; blocks, called from a thread.

        Args:
            lookups: view and field of each feature, by join key.

        Raises:
            LoadError: they can never be.
            UnavailableError: they cannot be now.
        """
        ...

    def read(self, wanted: Mapping[str, Lookup]) -> Awaitable[Stored]:
        """The cells of the wanted rows.

        Raises:
            UnavailableError: the store is away.
        """
        ...

    def close(self) -> Awaitable[None]:
        """Close the connections."""
        ...


class KeptScores(Protocol):
    """Bytes under names, for a while."""

    async def get(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """What is kept under some names, in their order; all at once.

        Raises:
            UnavailableError: the store is away.
        """
        ...

    async def put(self, entries: Sequence[tuple[bytes, bytes, float]]) -> None:
        """Keep name, bytes, and for how many seconds; all at once.

        Raises:
            UnavailableError: the store is away.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class Journal(Protocol):
    """Writes down predictions before they are given."""

    @property
    def stalled(self) -> bool:
        """Whether records wait for longer than the deadline."""
        ...

    def write(self, batch: Batch, on_done: Callable[[int, ServicekitError | None], None]) -> int:
        """Take records; on the event loop, without blocking.

        Args:
            batch: they go out in their order.
            on_done: called on the loop once, maybe before this returns, unless nothing was taken:
                with how many were taken, and None once their predictions may be given, or
                UnavailableError when they may not.

        Returns:
            How many were taken, from the first on: fewer when there is no more room.
        """
        ...
