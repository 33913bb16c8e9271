"""A pool of Postgres connections without background tasks.

psycopg's own pool (psycopg_pool 3.3) doesn't suit a library in a host's event loop. Its worker tasks swallow a
cancellation while they connect, so a program that ends without closing the pool sometimes hangs. It also reports a
refused connection only after the timeout, and without the reason.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow

from vigilbase.clock import monotonic

Connection: TypeAlias = psycopg.AsyncConnection[DictRow]

# Firewalls and poolers may silently drop a connection that is idle for longer.
_MAX_IDLE_S = 120.0


class ConnectionPool:
    """At most `size` connections, opened by `connect` on demand, which takes a time limit in seconds."""

    def __init__(self, connect: Callable[[float], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []  # the longest idle first
        self._closed = False

    @asynccontextmanager
    async def connection(self, timeout: float) -> AsyncIterator[Connection]:
        """A connection for the block; it returns to the pool if it is still usable. `timeout`: seconds to get one.

        Raises:
            TimeoutError: all connections are in use for too long.

        """
        deadline = monotonic() + timeout
        async with asyncio.timeout(timeout):
            await self._free.acquire()
        try:
            connection = await self._take(deadline)
            try:
                yield connection
            finally:
                if self._closed or not _is_idle(connection):
                    await connection.close()
                else:
                    self._idle.append((connection, monotonic()))
        finally:
            self._free.release()

    async def close(self) -> None:
        """Close the idle connections now, and the others when they return."""
        self._closed = True
        await self.close_idle()

    async def close_idle(self) -> None:
        """Close the idle connections, so that the next ones are new."""
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()

    async def _take(self, deadline: float) -> Connection:
        while self._idle and monotonic() - self._idle[0][1] >= _MAX_IDLE_S:
            connection, _ = self._idle.pop(0)
            await connection.close()
        while self._idle:
            connection, _ = self._idle.pop()
            if _is_open(connection):
                return connection
            await connection.close()
        return await self._connect(deadline - monotonic())


def _is_idle(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _is_open(connection: Connection) -> bool:
    """Whether the server hasn't closed the connection, or is about to. No round trip is needed.

    On an open one, nothing can be read: before it closes a connection, Postgres sends the reason.
    """
    if connection.closed:
        return False
    try:
        # A duplicate, because closing the socket object would close libpq's descriptor.
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setblocking(False)
            # The socket's own bytes, so that it makes no difference whether they are encrypted.
            duplicate.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
