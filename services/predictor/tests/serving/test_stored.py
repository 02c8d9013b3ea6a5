import asyncio
from collections.abc import Mapping, Sequence

from predictor.domain.batching import Lookup
from predictor.domain.features import Input, Ref, Signature, Stored
from predictor.serving.stored import StoredFeatures
from servicekit.errors import UnavailableError

SIGNATURE = Signature(
    [
        Input("origin", "category"),
        Input("temp", "number", stored=True, view="v", field="t", join_key="origin"),
    ]
)
ROWS = [(SIGNATURE, ["EWR", None])]


class Flaky:
    def __init__(self) -> None:
        self.reads = 0
        self.away = True

    def warm_up(self) -> None: ...

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None: ...

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        self.reads += 1
        if self.away:
            raise UnavailableError("refused")
        return {("origin", "EWR"): {}}

    async def close(self) -> None: ...


def test_a_store_that_was_away_is_asked_again_after_the_pause() -> None:
    async def story() -> None:
        now, store = 100.0, Flaky()
        stored = StoredFeatures(store, timeout=1.0, pause=2.0, now=lambda: now)
        assert await stored.read(ROWS) is None
        now = 101.999
        assert await stored.read(ROWS) is None
        assert store.reads == 1
        now, store.away = 102.0, False
        assert await stored.read(ROWS) == {("origin", "EWR"): {}}
        assert store.reads == 2

    asyncio.run(story())


def test_nothing_to_read_is_no_outage() -> None:
    async def story() -> None:
        store = Flaky()
        stored = StoredFeatures(store, timeout=1.0, pause=2.0)
        assert await stored.read([(SIGNATURE, [None, None])]) == {}
        assert store.reads == 0

    asyncio.run(story())
