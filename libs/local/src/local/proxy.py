"""A TCP proxy that cuts, delays and swallows what passes, as a test asks for."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

CHUNK = 64 * 1024
LOOPBACK = "127.0.0.1"


class Proxy:
    """One port of loopback in front of another; its methods may be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, port: int, target: int) -> None:
        self.port = port
        """Where clients connect."""
        self.target = target
        """Port of the server behind it."""
        self._loop = loop
        self._delay = 0.0
        self._cut = False
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def delay(self, seconds: float) -> None:
        """Let everything wait for so long on its way, in both directions."""
        self._loop.call_soon_threadsafe(setattr, self, "_delay", seconds)

    def cut(self) -> None:
        """Reset every connection, and each new one as soon as it is made."""
        self._loop.call_soon_threadsafe(self._do_cut)

    def swallow(self) -> None:
        """Accept connections and pass nothing on: the other end is there and says nothing."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def mend(self) -> None:
        """Pass everything again. What was held back is passed on first, in its order."""
        self._loop.call_soon_threadsafe(self._do_mend)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        self._server = await asyncio.start_server(self._accepted, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        self._do_cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _do_cut(self) -> None:
        self._cut = True
        for writer in list(self._writers):
            writer.transport.abort()

    def _do_mend(self) -> None:
        self._cut = False
        self._delay = 0.0
        self._open.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
        self._writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            if self._cut:
                return
            await self._open.wait()
            answer, onward = await asyncio.open_connection(LOOPBACK, self.target)
            self._writers.add(onward)
            await asyncio.gather(self._pump(reader, onward), self._pump(answer, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            if task:
                self._tasks.discard(task)
            for each in (writer, onward):
                if each is not None:
                    self._writers.discard(each)
                    each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()


class Proxies:
    """Proxies on an event loop of their own, so that a busy caller does not slow them down."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._all: list[Proxy] = []

    def before(self, target: int, port: int = 0) -> Proxy:
        """A proxy in front of a port; by default on a free one.

        Raises:
            OSError: the port is taken.
        """
        proxy = Proxy(self._loop, port, target)
        self._run(proxy.start())
        self._all.append(proxy)
        return proxy

    def close(self) -> None:
        """Close them all."""
        for proxy in self._all:
            self._run(proxy.stop())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=10)


@contextmanager
def proxies() -> Iterator[Proxies]:
    """Run proxies while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies", daemon=True)
    thread.start()
    made = Proxies(loop)
    try:
        yield made
    finally:
        made.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
