"""Asks Redis with commands that are packed already."""

from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError


class RedisConnections:
    """As many connections as there are questions at a time, each kept for the next one.

    redis-py's pipeline packs and checks each command anew, which costs more than all the rest of a
    read. Its pool waits a turn of the event loop to see that a connection has nothing to say, each
    time it hands it out; here one that turns out to be closed is opened anew.

    Args:
        url: `redis://[[user]:password@]host:port[/db]`, or `rediss://` for TLS.
    """

    def __init__(self, url: str) -> None:
        # No time limit for the socket: redis-py would start a task and a timer for each command,
        # and whoever reads for requests has a limit of their own.
        self._maker = ConnectionPool.from_url(url, socket_timeout=None, socket_connect_timeout=1)
        self._idle: list[AbstractConnection] = []

    async def ask(self, commands: bytes, count: int) -> list[Any]:
        """Send commands that change nothing: they may arrive twice.

        Args:
            commands: as Redis reads them from the wire.
            count: how many they are.

        Returns:
            The answer to each.

        Raises:
            redis.exceptions.RedisError: there is none.
            OSError: the same.
        """
        connection = self._idle.pop() if self._idle else self._maker.make_connection()
        was_open = connection.is_connected
        try:
            try:
                return await _exchange(connection, commands, count)
            except RedisConnectionError:
                if not was_open:
                    raise
                # Redis has closed it since the last question.
                await connection.disconnect(nowait=True)
                return await _exchange(connection, commands, count)
        except BaseException:
            # Answers that nobody waits for any more must not become the next one's.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._idle.append(connection)

    async def close(self) -> None:
        """Close the idle ones."""
        while self._idle:
            await self._idle.pop().disconnect()


async def _exchange(connection: AbstractConnection, commands: bytes, count: int) -> list[Any]:
    await connection.send_packed_command(commands)
    return [await connection.read_response() for _ in range(count)]
