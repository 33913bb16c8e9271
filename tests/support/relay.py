"""A TCP relay to a server on loopback that can misbehave, as a network, a frozen host or a failover does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.loopback import serving


class Relay:
    """Passes everything on until it is told otherwise. `connections` counts those that clients have opened."""

    def __init__(self, to_port: int) -> None:
        self.connections = 0
        self._to_port = to_port
        self._is_frozen = asyncio.Event()
        self._is_released = asyncio.Event()
        self._is_released.set()
        self._is_lossy = False

    def freeze(self) -> None:
        """Pass on nothing any more, and accept new connections without an answer."""
        self._is_frozen.set()

    def hold_answers(self, *, lose: bool = False) -> None:
        """Hold what the server sends until a client sends something. `lose`: then close instead of passing it on."""
        self._is_released.clear()
        self._is_lossy = lose

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._is_frozen.is_set():
            await asyncio.Event().wait()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        try:
            await asyncio.gather(self._send(reader, to_server), self._receive(from_server, writer))
        finally:
            to_server.close()

    async def _send(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            await self._stop_if_frozen()
            self._is_released.set()
            with suppress(OSError):  # the server has closed the connection, which the client doesn't know yet
                server.write(data)
                await server.drain()
        server.close()

    async def _receive(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await server.read(65_536):
            await self._stop_if_frozen()
            await self._is_released.wait()
            if self._is_lossy:
                break
            client.write(data)
            await client.drain()
        await self._is_released.wait()
        client.close()

    async def _stop_if_frozen(self) -> None:
        if self._is_frozen.is_set():
            await asyncio.Event().wait()


@asynccontextmanager
async def relaying(to_port: int) -> AsyncIterator[tuple[Relay, int]]:
    """Run a relay inside the block; yield it and its port."""
    relay = Relay(to_port)
    async with serving(relay.answer) as port:
        yield relay, port
