"""One statement in a transaction of its own, in one round trip.

psycopg's pipeline isn't used, because it loses the message that a server or a pooler sends before it closes the
connection, logs a warning with every error, and leaves a failed transaction open.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from psycopg import OperationalError, sql
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from vigilbase.database.pool import Connection

Rows: TypeAlias = tuple[list[dict[str, object]], int]
"""The rows of an answer, and the number of rows that were returned or changed."""

# Requested each time, because a server, a database, a role or a URL may set another default.
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_COMMIT = b"COMMIT"
# Postgres ends an idle session: it shuts down or was told to end the session, or that was idle for too long.
_SESSION_ENDED = ("57P01", "57P05")
_SESSION_ENDER = "ProcessInterrupts"  # the function of Postgres that says so


class NeverBegunError(OperationalError):
    """The server had ended the session before it received the transaction, so it can be run again elsewhere."""


async def run_in_transaction(connection: Connection, query: sql.Composed, parameters: Sequence[object]) -> Rows:
    """Run a statement with the placeholders `$1`, `$2`, …; afterwards, the connection is idle or broken.

    Raises:
        NeverBegunError: the server had ended the session, so nothing was done.
        psycopg.Error: a parameter can't be sent, the server reports an error, or the connection is lost.
        ValueError: a parameter can't be sent, or the answer can't be read.

    """
    transformer = Transformer(connection)
    values = transformer.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
    pgconn, statement = connection.pgconn, query.as_bytes(connection)

    def send_statement() -> None:
        pgconn.send_query_params(statement, values, transformer.types, transformer.formats, Format.BINARY)

    result = await connection.wait(_exchange(pgconn, send_statement))
    transformer.set_pgresult(result)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    rows = transformer.load_rows(0, result.ntuples, lambda row: dict(zip(names, row, strict=True)))
    return rows, result.command_tuples or 0


def _exchange(pgconn: PGconn, send_statement: Callable[[], None]) -> PQGen[PGresult]:
    """Send all commands, then read all results; return that of the statement."""
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(_BEGIN, None)
    send_statement()
    # After an error, the server skips all commands up to the next sync. With a sync before it, COMMIT always runs, and
    # rolls back a failed transaction.
    pgconn.pipeline_sync()
    pgconn.send_query_params(_COMMIT, None)
    pgconn.pipeline_sync()
    yield from send(pgconn)
    results: list[PGresult] = []
    try:
        for _ in ("BEGIN", "statement", "sync", "COMMIT", "sync"):
            results += yield from fetch_many(pgconn)
        pgconn.exit_pipeline_mode()
    except OperationalError:
        # The server's last message explains more than the closed connection.
        _raise_first_error(results)
        raise
    _raise_first_error(results)
    return results[1]


def _raise_first_error(results: Sequence[PGresult]) -> None:
    _require_begun(results)
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)


def _require_begun(results: Sequence[PGresult]) -> None:
    """Raise a `NeverBegunError` if the first answer is that the session ends.

    A server answers in order, and the answer to BEGIN comes before anything else that it does for us. So if the message
    that ends the session comes instead, it ran neither BEGIN nor the statement nor COMMIT. After any other failure,
    something may have been committed: if that message comes in place of a later answer or from a proxy, if the
    connection ends without one (the answers may be lost on the way), or if a pooler (SQLSTATE 08P01) says that it lost
    its server.
    """
    if not results or results[0].status != ExecStatus.FATAL_ERROR:
        return
    error = error_from_result(results[0])
    is_from_postgres = error.diag.source_function == _SESSION_ENDER  # a proxy may have passed the transaction on
    if error.diag.severity_nonlocalized == "FATAL" and error.sqlstate in _SESSION_ENDED and is_from_postgres:
        raise NeverBegunError(error.diag.message_primary or "the session has ended") from error
