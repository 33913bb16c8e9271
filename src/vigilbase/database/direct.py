"""Direct connections for what the service client can't do: DDL, catalog queries, locks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from vigilbase.database.connect import connect
from vigilbase.database.pool import Connection
from vigilbase.database.postgres import to_database_error
from vigilbase.database.urls import check_conninfo


@asynccontextmanager
async def open_direct_connection(attempt: str, conninfo: str, timeout: float) -> AsyncIterator[Connection]:
    """A connection for the block, with the driver's errors as ours; `timeout`: seconds to connect.

    Raises:
        ConfigurationError: `conninfo` is malformed.
        DatabaseError: the connection or a statement fails; the message begins with `attempt`, or names the
            server that can't be reached.

    """
    check_conninfo(conninfo)
    try:
        async with await connect(conninfo, timeout) as connection:
            yield connection
    except psycopg.Error as error:
        raise to_database_error(attempt, error) from error


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """A READ COMMITTED transaction, whatever the database's default is."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield
