"""What Vigilbase has made in a database, found by name and dropped by name, never CASCADE.

What a host has built on it makes the whole fail, and the server's detail says what that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import psycopg

from vigilbase.database.direct import connected, transaction
from vigilbase.database.host import read_host, refuse_strays
from vigilbase.database.ledger import has_earlier_ledger, read_own_entries, refuse_ahead
from vigilbase.database.migrate import Migration, lock_ledger
from vigilbase.database.pool import Connection
from vigilbase.database.repair import apply_all
from vigilbase.database.runners import refuse_runners
from vigilbase.database.schema import CONTRACT_TABLES, OUR_TABLES
from vigilbase.errors import MigrationError

# What the first builds had in the schema public, beside functions.
_EARLIER_TABLES = (
    "public.alert_deliveries",
    "public.delivery_channels",
    "public.alert_timeline",
    "public.silences",
    "public.maintenance_windows",
    "public.vigilbase_migrations",
)


@dataclass(frozen=True, slots=True)
class Made:
    """Something of ours: its kind and its signature as DROP has them, and of a table, how many rows it has."""

    kind: str
    signature: str
    rows: int | None = None


async def find_ours(conninfo: str, *, timeout: float, history: bool) -> list[Made]:
    """What `remove` would drop; `history`: the two tables of the contract too.

    Raises:
        MigrationError: a runner is at work.
        DatabaseError: the database can't be reached.

    """
    async with connected("look for what Vigilbase has made", conninfo, timeout) as connection:
        await refuse_runners(connection)
        return [await _counted(connection, made) for made in await _find(connection, history=history)]


async def remove(conninfo: str, *, timeout: float, history: bool) -> None:
    """Drop all of it in one transaction; the two tables of the contract only with `history`.

    Raises:
        MigrationError: a runner is at work, or something of the host's depends on something of ours.
        DatabaseError: the database can't be reached.

    """
    async with connected("remove", conninfo, timeout) as connection, transaction(connection):
        await _drop_all(connection, history=history)


async def rebuild(conninfo: str, migrations: Sequence[Migration], *, timeout: float) -> None:
    """Drop all but the two tables of the contract and their rows, and apply all migrations, in one transaction.

    Raises:
        MigrationError: a runner is at work, the database is ahead of this program, something of the host's depends on
            something of ours, or a migration fails.
        DatabaseError: the database can't be reached.

    """
    async with connected("rebuild", conninfo, timeout) as connection, transaction(connection):
        host = await read_host(connection)
        refuse_strays(host)
        await _refuse_ahead(connection, migrations)
        await _drop_all(connection, history=False)
        await lock_ledger(connection, host)
        await apply_all(connection, host, migrations)


async def _refuse_ahead(connection: Connection, migrations: Sequence[Migration]) -> None:
    """A database of an earlier build may have higher numbers; one that only has more migrations is ahead."""
    entries = await read_own_entries(connection)
    ours = [migration.entry for migration in migrations]
    if set(ours) <= set(entries):
        refuse_ahead(ours, entries)


async def _find(connection: Connection, *, history: bool) -> list[Made]:
    """What there is, what was made last first; the schema at the end."""
    tables = [*(_EARLIER_TABLES if await has_earlier_ledger(connection) else ()), *(CONTRACT_TABLES if history else ())]
    refuse_strays(await read_host(connection))
    query = files("vigilbase.database").joinpath("ours.sql").read_text(encoding="utf-8")
    cursor = await connection.execute(query.encode(), {"tables": tables})
    found = [Made(str(row["kind"]), str(row["signature"])) for row in await cursor.fetchall()]
    for made in found:
        if made.kind == "TABLE" and made.signature not in {*OUR_TABLES, *tables}:
            raise MigrationError(
                f"{made.signature} isn't Vigilbase's: move it out of the schema vigilbase, so that it isn't dropped"
            )
    return found


async def _counted(connection: Connection, made: Made) -> Made:
    if made.kind != "TABLE":
        return made
    cursor = await connection.execute(f"SELECT count(*) AS rows FROM {made.signature}".encode())  # noqa: S608 (quoted)
    row = await cursor.fetchone()
    return Made(made.kind, made.signature, int(row["rows"]) if row else 0)


async def _drop_all(connection: Connection, *, history: bool) -> None:
    left = await _find(connection, history=history)
    for made in left:
        if made.kind == "TABLE":  # so that no runner begins behind our back
            await connection.execute(f"LOCK TABLE {made.signature} IN ACCESS EXCLUSIVE MODE".encode())
    await refuse_runners(connection)
    # Views, functions and tables depend on each other in more ways than their age tells: what can't go yet goes later.
    while left:
        kept: list[Made] = []
        refusal: psycopg.Error | None = None
        for made in left:
            try:
                async with connection.transaction():
                    await connection.execute(f"DROP {made.kind} IF EXISTS {made.signature}".encode())
            except psycopg.errors.DependentObjectsStillExist as error:
                kept.append(made)
                refusal = refusal or error
        if refusal and len(kept) == len(left):
            raise MigrationError(f"nothing was dropped: {_told(refusal)}") from refusal
        left = kept


def _told(error: psycopg.Error) -> str:
    """What the server says, and which object of the host's is in the way."""
    detail = (error.diag.message_detail or "").replace("\n", "; ")
    return f"{error.diag.message_primary}{f' ({detail})' if detail else ''}: drop what depends on it first"
