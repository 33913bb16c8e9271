"""Small servers on loopback for probes to look at, and the look itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from vigilbase.probes import KINDS, observe
from vigilbase.vocabulary import JSON, Observation

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SHORT = 0.3


def fixed_now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


async def look(kind: str, target: str, timeout: float = 5, **values: object) -> Observation:
    """Probe a target once, as the runner does."""
    return await observe(KINDS[kind].bind({kind: target, **values}, timeout), timeout=timeout, now=fixed_now)


def details(seen: Observation) -> Mapping[str, JSON]:
    assert seen.probe_details is not None
    return seen.probe_details


def phases(seen: Observation) -> dict[str, float]:
    found = details(seen)["phases"]
    assert isinstance(found, dict)
    return found


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server that gives one answer to each connection, and then closes it; the port."""
    answering: set[asyncio.Task[None]] = set()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        answering.add(task)
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            if context:
                with suppress(AttributeError):  # Python 3.11.2, where the connection is lost already
                    writer.transport.abort()

    server = await asyncio.start_server(closing, host, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)


def http_answer(head: str, body: bytes = b"", heard: list[bytes] | None = None) -> Answer:
    """Answers a request with a status line and headers, and keeps what it heard."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        length = [line.split(b":")[1] for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if length:
            request += await reader.readexactly(int(length[0]))
        if heard is not None:
            heard.append(request)
        writer.write(f"HTTP/1.1 {head}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything and says nothing."""
    while await reader.read(65_536):
        pass


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes the connection at once."""


async def gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks no protocol."""
    writer.write(b"\x00\xff220 hello\r\n" * 10)
    await writer.drain()
