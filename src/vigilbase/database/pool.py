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
    """At most `size` connections, opened by `connect` on demand."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the block; it returns to the pool if it is still usable."""
        async with self._free:
            connection = await self._acquire()
            try:
                yield connection
            finally:
                if self._closed or not _is_idle(connection):
                    await connection.close()
                else:
                    self._idle.append((connection, monotonic()))

    async def close(self) -> None:
        """Close the idle connections now, and the others when they return."""
        self._closed = True
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()

    async def _acquire(self) -> Connection:
        while self._idle:
            connection, since = self._idle.pop()
            if monotonic() - since < _MAX_IDLE_S and _is_open(connection):
                return connection
            await connection.close()
        return await self._connect()


def _is_idle(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _is_open(connection: Connection) -> bool:
    """Whether the server hasn't closed the connection. No round trip is needed: on an open one, nothing is readable."""
    if connection.closed:
        return False
    try:
        # A duplicate, because closing the socket object would close libpq's descriptor.
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setblocking(False)
            # MSG_PEEK leaves to libpq what the server did send, such as its reason for closing.
            return duplicate.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
