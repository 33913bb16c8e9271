"""A real HTTP server, in its own thread, that keeps its requests and answers them as a test wants."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Fault = Literal["close", "close_unread", "hang", "half_a_head", "half_a_body", "endless_body", "gibberish"]
"""The connection closes without an answer, or before the request is read; no answer; an answer that breaks off in its
head or its body, or never ends; an answer that isn't HTTP."""


@dataclass(frozen=True)
class Reply:
    """An answer, sent after `delay_s`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay_s: float = 0
    fault: Fault | None = None


def retry_after(value: str, status: int = 429) -> Reply:
    return Reply(status, {"retry-after": value}, b"slow down")


def redirect_to(url: str, status: int = 302) -> Reply:
    return Reply(status, {"location": url}, b"")


@dataclass(frozen=True)
class Request:
    """A request, with its header names in lower case, and `at` on the monotonic clock.

    `is_abandoned`: whether its sender had closed the connection before it was read.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    is_abandoned: bool = False

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers each request with the next of `replies`, or else with `answer`.

    `requests` are all requests in order, `accepted` those with a complete success as answer. It can be stopped, and
    started again on the same port.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.port = port
        self.answer: Reply | Callable[[Request], Reply] = Reply()
        self.replies: deque[Reply] = deque()
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self._tls = tls
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, after a stop on the same port as before."""
        self._run(self._listen())

    def stop(self) -> None:
        """Refuse new connections and cut the open ones."""
        self._run(self._close())

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reply_next(self, *replies: Reply) -> None:
        """Answer the next requests with these, in order."""
        self.replies.extend(replies)

    def wait_for(self, count: int, *, accepted: bool = False, within_s: float = 60) -> list[Request]:
        """Wait for so many requests and return them (only accepted ones with `accepted`)."""
        requests = self.accepted if accepted else self.requests
        with self._changed:
            assert self._changed.wait_for(lambda: len(requests) >= count, within_s), f"{len(requests)} of {count} came"
            return list(requests)

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls, backlog=1000)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._respond(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            writer.close()
            if self._tls:
                with suppress(AttributeError):  # Python 3.11.2, if the connection is lost already
                    writer.transport.abort()

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.replies and self.replies[0].fault == "close_unread":
            self.replies.popleft()
            return
        request = replace(await _read(reader), is_abandoned=_has_hung_up(reader, writer))
        reply = self._keep(request)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.fault:
            await _fail(reply, reader, writer)
            return
        if 200 <= reply.status < 300 and not writer.is_closing():
            with self._changed:  # before the answer, since its sender may look at once
                self.accepted.append(request)
                self._changed.notify_all()
        writer.write(_head(reply, len(reply.body)) + reply.body)
        await writer.drain()

    def _keep(self, request: Request) -> Reply:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if self.replies:
                return self.replies.popleft()
        return self.answer(request) if callable(self.answer) else self.answer


@contextmanager
def receiving(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    receiver = Receiver(tls)
    try:
        receiver.start()
        yield receiver
    finally:
        receiver.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body, time.monotonic())


def _has_hung_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the sender has closed the connection; over TLS, as far as it has been read."""
    if reader.at_eof() or writer.is_closing():
        return True
    peeking = socket.fromfd(writer.get_extra_info("socket").fileno(), socket.AF_INET, socket.SOCK_STREAM)
    with peeking:
        try:
            return peeking.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


def _head(reply: Reply, length: int) -> bytes:
    headers = {"content-length": str(length), "connection": "close", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Reason", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _fail(reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    match reply.fault:
        case "hang":
            await reader.read()
        case "half_a_head":
            writer.write(_head(reply, 0)[:15])
        case "half_a_body":
            writer.write(_head(reply, len(reply.body) + 10) + reply.body)
        case "endless_body":
            writer.write(_head(reply, 10**12))
            with suppress(OSError):
                while True:
                    writer.write(b"x" * 65_536)
                    await writer.drain()
        case "gibberish":
            writer.write(b"\x00\xff220 hello\r\n" * 10)
    await writer.drain()
