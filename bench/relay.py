"""A relay between clients and a server that counts how often a client had to wait for an answer."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Relay:
    """A port that leads to the server, and the round trips that went through it so far."""

    port: int = 0
    round_trips: int = 0
    waiting: bool = False

    async def pump(self, reader: StreamReader, writer: StreamWriter, *, is_request: bool) -> None:
        """Pass on one direction of a connection to its end."""
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_request and not self.waiting:
                    self.round_trips += 1
                self.waiting = is_request
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def counting_relay(server_port: int) -> AsyncIterator[Relay]:
    """A relay to a port on loopback; it ends when its clients have gone."""
    relay = Relay()
    async with asyncio.TaskGroup() as tasks:

        async def connect(reader: StreamReader, writer: StreamWriter) -> None:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
            tasks.create_task(relay.pump(reader, server_writer, is_request=True))
            tasks.create_task(relay.pump(server_reader, writer, is_request=False))

        async with await asyncio.start_server(connect, "127.0.0.1", 0) as listener:
            relay.port = listener.sockets[0].getsockname()[1]
            yield relay
