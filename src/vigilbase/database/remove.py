"""Removal of Vigilbase's objects from a database: found by name, dropped by name, never with CASCADE.

If an object of the host depends on one of them, the whole removal fails, and the error names that object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import psycopg

from vigilbase.database.direct import open_direct_connection, transaction
from vigilbase.database.host import read_host, require_no_strays
from vigilbase.database.ledger import has_earlier_ledger, read_own_entries, require_not_ahead
from vigilbase.database.migrate import Migration, lock_ledger
from vigilbase.database.pool import Connection
from vigilbase.database.repair import apply_all
from vigilbase.database.runners import require_no_runners
from vigilbase.database.schema import CONTRACT_TABLES, OUR_TABLES
from vigilbase.errors import MigrationError

# The tables of the first builds, which were in the schema public.
_EARLIER_TABLES = (
    "public.alert_deliveries",
    "public.delivery_channels",
    "public.alert_timeline",
    "public.silences",
    "public.maintenance_windows",
    "public.vigilbase_migrations",
)


@dataclass(frozen=True, slots=True)
class OwnedObject:
    """An object of Vigilbase: its kind and signature for DROP, and for a table, its number of rows."""

    kind: str
    signature: str
    rows: int | None = None


async def list_owned(conninfo: str, *, timeout: float, history: bool) -> list[OwnedObject]:
    """The objects that `remove` would drop. `history`: include the two tables of the contract.

    Raises:
        MigrationError: a runner is active.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("list the objects of Vigilbase", conninfo, timeout) as connection:
        await require_no_runners(connection)
        return [await _count_rows(connection, owned) for owned in await _list_owned(connection, history=history)]


async def remove(conninfo: str, *, timeout: float, history: bool) -> None:
    """Drop all objects in one transaction. `history`: include the two tables of the contract.

    Raises:
        MigrationError: a runner is active, or an object of the host depends on one of ours.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("remove", conninfo, timeout) as connection, transaction(connection):
        await _drop_all(connection, history=history)


async def rebuild(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> None:
    """Drop all objects except the two tables of the contract, and apply all migrations, in one transaction.

    Raises:
        MigrationError: a runner is active, the database is ahead of this version, an object of the host depends on
            one of ours, or a migration fails.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("rebuild", conninfo, timeout) as connection, transaction(connection):
        host = await read_host(connection)
        require_no_strays(host)
        await _require_not_ahead(connection, migrations)
        await _drop_all(connection, history=False)
        await lock_ledger(connection, host)
        await apply_all(connection, host, migrations)


async def _require_not_ahead(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Reject a ledger with all of our migrations and more. That of an earlier build may have higher numbers, too."""
    entries = await read_own_entries(connection)
    ours = [migration.entry for migration in migrations]
    if set(ours) <= set(entries):
        require_not_ahead(ours, entries)


async def _list_owned(connection: Connection, *, history: bool) -> list[OwnedObject]:
    """The existing objects, the newest first and the schema last."""
    tables = [*(_EARLIER_TABLES if await has_earlier_ledger(connection) else ()), *(CONTRACT_TABLES if history else ())]
    require_no_strays(await read_host(connection))
    query = files("vigilbase.database").joinpath("ours.sql").read_text(encoding="utf-8")
    cursor = await connection.execute(query.encode(), {"tables": tables})
    objects = [OwnedObject(str(row["kind"]), str(row["signature"])) for row in await cursor.fetchall()]
    for owned in objects:
        if owned.kind == "TABLE" and owned.signature not in {*OUR_TABLES, *tables}:
            raise MigrationError(
                f"{owned.signature} isn't Vigilbase's: move it to another schema, so that it isn't dropped"
            )
    return objects


async def _count_rows(connection: Connection, owned: OwnedObject) -> OwnedObject:
    if owned.kind != "TABLE":
        return owned
    cursor = await connection.execute(f"SELECT count(*) AS rows FROM {owned.signature}".encode())  # noqa: S608 (quoted)
    row = await cursor.fetchone()
    return OwnedObject(owned.kind, owned.signature, int(row["rows"]) if row else 0)


async def _drop_all(connection: Connection, *, history: bool) -> None:
    remaining = await _list_owned(connection, history=history)
    for owned in remaining:
        if owned.kind == "TABLE":  # keeps a runner from starting meanwhile
            await connection.execute(f"LOCK TABLE {owned.signature} IN ACCESS EXCLUSIVE MODE".encode())
    await require_no_runners(connection)
    # Age doesn't settle all dependencies among views, functions and tables, so retry what can't be dropped yet.
    while remaining:
        blocked: list[OwnedObject] = []
        first_error: psycopg.Error | None = None
        for owned in remaining:
            try:
                # A savepoint, because a failed DROP would otherwise abort the whole transaction.
                async with connection.transaction():
                    await connection.execute(f"DROP {owned.kind} IF EXISTS {owned.signature}".encode())
            except psycopg.errors.DependentObjectsStillExist as error:
                blocked.append(owned)
                first_error = first_error or error
        if first_error and len(blocked) == len(remaining):
            raise MigrationError(f"nothing was dropped: {_explain_dependency(first_error)}") from first_error
        remaining = blocked


def _explain_dependency(error: psycopg.Error) -> str:
    """The server's message with the dependent object."""
    detail = (error.diag.message_detail or "").replace("\n", "; ")
    return f"{error.diag.message_primary}{f' ({detail})' if detail else ''}: drop what depends on it first"
