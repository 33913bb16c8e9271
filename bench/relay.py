"""A relay between clients and a server that counts how often a client waits for an answer."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass


@dataclass(slots=True)
class Relay:
    """A port that leads to the server, and the number of round trips so far."""

    port: int = 0
    round_trips: int = 0
    is_waiting: bool = False

    async def pump(self, reader: StreamReader, writer: StreamWriter, *, is_request: bool) -> None:
        """Forward one direction of a connection to its end."""
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if is_request and not self.is_waiting:
                    self.round_trips += 1
                self.is_waiting = is_request
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def counting_relay(server_port: int) -> AsyncIterator[Relay]:
    """Run a relay to a port on the loopback interface; it ends when its clients have disconnected."""
    relay = Relay()
    async with asyncio.TaskGroup() as tasks:

        async def connect(reader: StreamReader, writer: StreamWriter) -> None:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
            tasks.create_task(relay.pump(reader, server_writer, is_request=True))
            tasks.create_task(relay.pump(server_reader, writer, is_request=False))

        async with await asyncio.start_server(connect, "127.0.0.1", 0) as listener:
            relay.port = listener.sockets[0].getsockname()[1]
            yield relay
