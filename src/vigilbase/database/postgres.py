"""The service client over pooled Postgres connections: any Postgres 15+, the embedded one, Supabase's poolers.

Each verb is one statement in a transaction of its own, in one round trip. No prepared statement, setting or lock
outlives it, so a pooler in transaction mode works too. See docs/decisions/0002-psycopg.md.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count, islice
from typing import LiteralString, TypeAlias, cast

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from vigilbase.clock import monotonic
from vigilbase.database.client import (
    MAX_ROWS,
    Order,
    Row,
    Value,
    Where,
    require_limit,
    require_where,
    retry_conflicts,
)
from vigilbase.database.connect import connect
from vigilbase.database.pool import Connection, ConnectionPool
from vigilbase.database.transaction import NeverBegunError, Rows, run_in_transaction
from vigilbase.database.urls import check_conninfo
from vigilbase.domain import JSON
from vigilbase.errors import (
    AccessRefusedError,
    DatabaseError,
    DatabaseUnavailableError,
    EmbeddedPostgresError,
    MissingSchemaError,
)

Conninfo = Callable[[], Awaitable[str]]
Statement: TypeAlias = "asyncio.Future[Rows]"

_OPERATORS: Mapping[str, LiteralString] = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_NULL_TESTS: Mapping[str, LiteralString] = {"eq": "IS NULL", "neq": "IS NOT NULL"}
# Unescaped: a server with another encoding may accept a character, but reject its escape sequence.
_dump_json = partial(json.dumps, ensure_ascii=False)
_LISTEN_TIMEOUT_S = 2.0
_GRACE_S = 1.0  # the time for the server to confirm a cancellation before the connection is cut


class PostgresClient:
    """A `ServiceClient` over a pool of connections, which are opened on demand.

    `conninfo` is awaited for each new connection, so it can start the embedded server, or restart it. `on_close` is
    awaited after the connections are closed. `timeout`: seconds for a statement, including the wait for a connection.
    """

    def __init__(
        self,
        conninfo: Conninfo,
        *,
        timeout: float = 5.0,
        pool_size: int = 4,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._conninfo = conninfo
        self._on_close = on_close
        self._timeout = timeout
        self._pool = ConnectionPool(self._connect, pool_size)
        self._closed = False

    async def insert(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """See `ServiceClient.insert`."""
        if not rows:
            return []
        columns, placeholders = list(rows[0]), _make_placeholders()
        values = [
            sql.SQL("({})").format(sql.SQL(", ").join(islice(placeholders, len(columns)))) for _ in range(len(rows))
        ]
        query = sql.SQL("INSERT INTO {} ({}) VALUES {} RETURNING *").format(
            _table(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(values),
        )
        parameters = [_adapt_value(row[column]) for row in rows for column in columns]
        return await self._rows(f"insert into {table}", query, parameters)

    async def select(
        self, table: str, where: Sequence[Where] = (), order: Sequence[Order] = (), limit: int = MAX_ROWS
    ) -> list[Row]:
        """See `ServiceClient.select`."""
        require_limit(limit)
        conditions, parameters = _make_conditions(where, _make_placeholders())
        query = sql.SQL("SELECT * FROM {}{}{} LIMIT {}").format(_table(table), conditions, _make_order_by(order), limit)
        return await self._rows(f"select from {table}", query, parameters)

    async def update(self, table: str, values: Row, where: Sequence[Where]) -> list[Row]:
        """See `ServiceClient.update`."""
        require_where(where)
        placeholders = _make_placeholders()
        assignments = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(column), next(placeholders)) for column in values
        )
        conditions, parameters = _make_conditions(where, placeholders)
        query = sql.SQL("UPDATE {} SET {}{} RETURNING *").format(_table(table), assignments, conditions)
        return await self._rows(f"update {table}", query, [*map(_adapt_value, values.values()), *parameters])

    async def delete(self, table: str, where: Sequence[Where]) -> int:
        """See `ServiceClient.delete`."""
        require_where(where)
        conditions, parameters = _make_conditions(where, _make_placeholders())
        query = sql.SQL("DELETE FROM {}{}").format(_table(table), conditions)
        _, count = await self._run(f"deleting from {table}", query, parameters)
        return count

    async def call(self, function: str, arguments: Mapping[str, Value] | None = None) -> JSON:
        """See `ServiceClient.call`."""
        values, placeholders = arguments or {}, _make_placeholders()
        query = sql.SQL("SELECT {}({}) AS answer").format(
            sql.Identifier("public", function),
            sql.SQL(", ").join(sql.SQL("{} => {}").format(sql.Identifier(name), next(placeholders)) for name in values),
        )
        rows, _ = await self._run(f"call {function}", query, [_adapt_value(value) for value in values.values()])
        return cast("JSON", rows[0]["answer"])

    async def listen(self, channel: str) -> AsyncIterator[None]:
        """See `Listener.listen`. Uses a connection of its own, and first sends itself a test notification."""
        attempt = f"listen on {channel}"
        try:
            async with await self._connect(self._timeout) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                # A pooler in transaction mode accepts LISTEN, but never delivers a notification.
                await connection.execute("SELECT pg_notify(%s, 'test')", [channel])
                if not [test async for test in connection.notifies(timeout=_LISTEN_TIMEOUT_S, stop_after=1)]:
                    raise DatabaseUnavailableError(f"{attempt}: notifications don't arrive")
                yield
                async for _ in connection.notifies():
                    yield
        except psycopg.Error as error:
            raise to_database_error(attempt, error) from error
        except EmbeddedPostgresError as error:
            raise DatabaseUnavailableError(f"{attempt}: {error}") from error
        except TimeoutError as error:
            raise DatabaseUnavailableError(f"{attempt}: no answer within {self._timeout:g} s") from error
        raise DatabaseUnavailableError(f"{attempt}: the connection ended")

    async def aclose(self) -> None:
        """See `ServiceClient.aclose`."""
        self._closed = True
        await self._pool.close()
        if self._on_close is not None:
            await self._on_close()

    async def _rows(self, attempt: str, query: sql.Composed, parameters: Sequence[object]) -> list[Row]:
        rows, _ = await self._run(attempt, query, parameters)
        return [{column: _to_utc(value) for column, value in row.items()} for row in rows]

    async def _run(self, attempt: str, query: sql.Composed, parameters: Sequence[object]) -> Rows:
        """Run one transaction within the timeout, including the wait for a connection; return rows and row count."""
        if self._closed:
            raise DatabaseError(f"{attempt}: the service client is closed")
        deadline = monotonic() + self._timeout
        try:
            try:
                return await self._attempt(deadline, query, parameters)
            except NeverBegunError:
                # The other idle connections are likely to have ended for the same reason.
                await self._pool.close_idle()
                return await self._attempt(deadline, query, parameters)
        except TimeoutError as error:
            # They lead to the same server. If it is frozen, each would cost a timeout before another host is tried.
            await self._pool.close_idle()
            raise DatabaseUnavailableError(f"{attempt}: no answer within {self._timeout:g} s") from error
        except psycopg.Error as error:
            raise to_database_error(attempt, error) from error
        except EmbeddedPostgresError as error:
            raise DatabaseUnavailableError(f"{attempt}: {error}") from error
        except OSError as error:  # for example, no file descriptor is left
            raise DatabaseUnavailableError(f"{attempt}: {error.strerror or error}") from error
        except UnicodeEncodeError as error:
            raise DatabaseError(f"{attempt}: a text can't be sent: {error.reason}") from error
        except ValueError as error:
            raise DatabaseError(f"{attempt}: the answer can't be read") from error

    async def _attempt(self, deadline: float, query: sql.Composed, parameters: Sequence[object]) -> Rows:
        async with self._pool.connection(deadline - monotonic()) as connection:
            return await retry_conflicts(
                lambda: _within(deadline - monotonic(), connection, run_in_transaction(connection, query, parameters)),
                _sqlstate,
            )

    async def _connect(self, timeout: float) -> Connection:
        deadline = monotonic() + timeout
        async with asyncio.timeout(timeout):
            conninfo = await self._conninfo()
        check_conninfo(conninfo)
        return await connect(conninfo, deadline - monotonic())


def to_database_error(attempt: str, error: psycopg.Error) -> DatabaseError:
    """Convert a driver's error into ours; the message begins with `attempt`."""
    if isinstance(error, (errors.UndefinedTable, errors.UndefinedFunction)):
        return MissingSchemaError(f"{attempt}: {get_server_message(error)}: run `vigilbase migrate`")
    if isinstance(error, errors.InsufficientPrivilege):
        return AccessRefusedError(f"{attempt}: {get_server_message(error)}")
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction)):
        return DatabaseUnavailableError(f"{attempt}: {get_server_message(error)}")
    return DatabaseError(f"{attempt}: {get_server_message(error)}")


def _sqlstate(error: Exception) -> str | None:
    return error.sqlstate if isinstance(error, psycopg.Error) else None


def get_server_message(error: psycopg.Error) -> str:
    """The server's message without its detail, which may quote rows; or the first line of the driver's message."""
    return error.diag.message_primary or str(error).strip().split("\n")[0] or type(error).__name__


async def run_within(
    seconds: float, connection: Connection, query: sql.Composed | LiteralString, parameters: Sequence[object] = ()
) -> Rows:
    """Run a statement for at most that many seconds; return its rows and their count.

    Raises:
        TimeoutError: the statement takes longer.

    """
    return await _within(seconds, connection, _fetch(connection, query, parameters))


async def _within(seconds: float, connection: Connection, fetch: Coroutine[None, None, Rows]) -> Rows:
    """Await a statement for at most that many seconds; afterwards, the connection is idle or unusable.

    The driver alone would wait ten more seconds for a hanging server. Here, the connection is cut after two.
    """
    statement = asyncio.ensure_future(fetch)
    try:
        done, _ = await asyncio.wait({statement}, timeout=max(0.0, seconds))
    except asyncio.CancelledError:
        # The caller is shutting down and can't wait for the server to confirm.
        await _cut(connection, statement)
        raise
    if not done:
        await _abandon(connection, statement)
        raise TimeoutError
    return statement.result()


async def _fetch(connection: Connection, query: sql.Composed | LiteralString, parameters: Sequence[object]) -> Rows:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        rows: list[dict[str, object]] = [*await cursor.fetchall()] if cursor.description else []
        return rows, cursor.rowcount


async def _abandon(connection: Connection, statement: Statement) -> None:
    """Ask the server to cancel the statement; cut the connection if it doesn't confirm."""
    with suppress(psycopg.Error, OSError):
        await connection.cancel_safe(timeout=_GRACE_S)
    done, _ = await asyncio.wait({statement}, timeout=_GRACE_S)
    if done:
        _discard_result(statement)
    else:
        await _cut(connection, statement)


async def _cut(connection: Connection, statement: Statement) -> None:
    """Shut down the socket of a running statement, which then fails at once."""
    # Shutting down a duplicate ends the connection, but leaves libpq its descriptor to close.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
    await asyncio.wait({statement}, timeout=_GRACE_S)
    _discard_result(statement)


def _discard_result(statement: Statement) -> None:
    """Retrieve the result, so that asyncio doesn't warn about an exception that was never retrieved."""
    with suppress(psycopg.Error, OSError, asyncio.CancelledError, asyncio.InvalidStateError):
        statement.result()


def _table(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


def _make_placeholders() -> Iterator[sql.SQL]:
    # In libpq's style, because `run_in_transaction` passes the statement to libpq as it is.
    return (sql.SQL(f"${number}") for number in count(1))


def _make_conditions(where: Sequence[Where], placeholders: Iterator[sql.SQL]) -> tuple[sql.Composable, list[object]]:
    if not where:
        return sql.SQL(""), []
    parts: list[sql.Composable] = []
    parameters: list[object] = []
    for condition in where:
        if condition.value is None and condition.operator in _NULL_TESTS:
            test = sql.SQL(_NULL_TESTS[condition.operator])
            parts.append(sql.SQL("{} {}").format(sql.Identifier(condition.column), test))
            continue
        operator = sql.SQL(_OPERATORS[condition.operator])
        parts.append(sql.SQL("{} {} {}").format(sql.Identifier(condition.column), operator, next(placeholders)))
        parameters.append(_adapt_value(condition.value))
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts), parameters


def _make_order_by(order: Sequence[Order]) -> sql.Composable:
    if not order:
        return sql.SQL("")
    parts = [
        # Postgres would put NULLs first when it sorts descending.
        sql.SQL("{} DESC NULLS LAST" if by.descending else "{} ASC NULLS LAST").format(sql.Identifier(by.column))
        for by in order
    ]
    return sql.SQL(" ORDER BY ") + sql.SQL(", ").join(parts)


def _adapt_value(value: Value) -> object:
    return Jsonb(value, _dump_json) if isinstance(value, (list, Mapping)) else value


def _to_utc(value: object) -> Value:
    # A column of a host may have no time zone: its time must not be taken for this machine's.
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else cast("Value", value)
