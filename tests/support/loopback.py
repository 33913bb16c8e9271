"""Small servers on loopback, and probing them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from vigilbase.domain import JSON, ProbeResult
from vigilbase.probes import PROBES
from vigilbase.probes.run import run_probe

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SHORT = 1.0  # long enough for a connection and a handshake on a busy machine
TIMED_OUT = f"no answer within {SHORT:g} s"


def fixed_now() -> datetime:
    return datetime(2026, 11, 24, 12, tzinfo=UTC)


async def probe_target(kind: str, target: str, timeout: float = 30, **values: object) -> ProbeResult:
    """Probe a target once, as the runner does."""
    return await run_probe(PROBES[kind].bind({kind: target, **values}, timeout), timeout=timeout, now=fixed_now)


def require_timed_out(result: ProbeResult) -> None:
    """The probe ended at its time limit `SHORT`: neither before it, nor at a longer one of a library or the system."""
    assert 0.95 * SHORT <= result.latency_ms / 1000 < 4 * SHORT


def get_details(result: ProbeResult) -> Mapping[str, JSON]:
    assert result.probe_details is not None
    return result.probe_details


def get_phases(result: ProbeResult) -> dict[str, float]:
    phases = get_details(result)["phases"]
    assert isinstance(phases, dict)
    return phases


@asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Run a server that calls `answer` for each connection and then closes it; yield its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            if context:
                with suppress(AttributeError):  # Python 3.11.2, if the connection is already lost
                    writer.transport.abort()

    server = await asyncio.start_server(handle_connection, host, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def http_answer(head: str, body: bytes = b"", heard: list[bytes] | None = None) -> Answer:
    """Make a handler that answers a request with status line, headers and body, and appends the request to `heard`."""

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
    """Read everything and send nothing."""
    while await reader.read(65_536):
        pass


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Close the connection at once."""


async def send_gibberish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send bytes of no protocol."""
    writer.write(b"\x00\xff220 hello\r\n" * 10)
    await writer.drain()
