"""Connections to Postgres that are kept for the next statement. Nothing runs in the background.

psycopg's own pool (psycopg_pool 3.3) does more, and for a library within somebody else's event loop too much: its
worker tasks swallow a cancellation while they connect, so a program that ends without closing the pool hangs now and
then; and it says after the timeout that there is no connection, where the refusal itself is known at once.
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

# Longer than a firewall or a pooler is sure to remember a silent connection, it isn't trusted.
_MAX_IDLE_S = 120.0


class ConnectionPool:
    """At most `size` connections, made by `connect` when they are needed."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], size: int) -> None:
        self._connect = connect
        self._free = asyncio.Semaphore(size)
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for one statement, and back afterwards, unless it broke meanwhile."""
        async with self._free:
            connection = await self._take()
            try:
                yield connection
            finally:
                if self._closed or not _is_idle(connection):
                    await connection.close()
                else:
                    self._idle.append((connection, monotonic()))

    async def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        while self._idle:
            connection, _ = self._idle.pop()
            await connection.close()

    async def _take(self) -> Connection:
        while self._idle:
            connection, since = self._idle.pop()
            if monotonic() - since < _MAX_IDLE_S and _is_open(connection):
                return connection
            await connection.close()
        return await self._connect()


def _is_idle(connection: Connection) -> bool:
    return not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE


def _is_open(connection: Connection) -> bool:
    """Whether the server has not closed it meanwhile; without a round trip, as an idle one has nothing to read."""
    if connection.closed:
        return False
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
            duplicate.setblocking(False)
            return duplicate.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
