"""A connection of its own, for what needs more than the service client: DDL, the catalog, locks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from vigilbase.database.pool import Connection
from vigilbase.database.postgres import check_conninfo, connect, domain_error


@asynccontextmanager
async def connected(attempt: str, conninfo: str, timeout: float) -> AsyncIterator[Connection]:
    """A connection for the block, and the driver's errors in it as ours; `timeout`: seconds to wait for it."""
    check_conninfo(conninfo)
    try:
        async with await connect(conninfo, timeout) as connection:
            yield connection
    except psycopg.Error as error:
        raise domain_error(attempt, error) from error


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """A transaction whose statements see what others have written, whatever the database's default is."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield
