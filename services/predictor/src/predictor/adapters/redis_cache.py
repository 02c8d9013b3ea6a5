"""Keeps scores in Redis or Valkey: one MGET to read a batch, one pipeline to keep one."""

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from servicekit.errors import UnavailableError


class RedisCache:
    """See `KeptScores`; an answer that takes longer than `timeout` seconds has failed."""

    def __init__(self, url: str, timeout: float = 1.0) -> None:
        self._redis = Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)

    async def get(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """See `KeptScores.get`."""
        try:
            return await self._redis.mget(keys)
        except (RedisError, OSError) as error:
            raise UnavailableError(f"reading the prediction cache: {error}") from error

    async def put(self, entries: Sequence[tuple[bytes, bytes, float]]) -> None:
        """See `KeptScores.put`."""
        pipeline = self._redis.pipeline(transaction=False)
        for key, data, seconds in entries:
            pipeline.set(key, data, px=max(1, round(seconds * 1000)))
        try:
            await pipeline.execute()
        except (RedisError, OSError) as error:
            raise UnavailableError(f"writing the prediction cache: {error}") from error

    async def close(self) -> None:
        """See `KeptScores.close`."""
        await self._redis.aclose()
