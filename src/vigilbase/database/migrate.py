"""The migrations runner: discover, lock, apply, remember.

Each file is applied in one transaction that locks the ledger first and looks at it again behind the lock, so of ten
that start at once each file is applied by one, also through a pooler in transaction mode.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.resources import files

import psycopg

from vigilbase.database.client import ServiceClient
from vigilbase.database.direct import connected, transaction
from vigilbase.database.host import Host, read_host, refuse_strays, refused
from vigilbase.database.ledger import (
    LOCK,
    Applied,
    ledger_sql,
    read_entries,
    read_entries_through,
    refuse_ahead,
    refuse_other_builds,
)
from vigilbase.database.pool import Connection
from vigilbase.errors import MigrationError
from vigilbase.logging import get_logger

log = get_logger(__name__)

_ATTEMPTS = 5
# Two that create the schema or the ledger at one moment: one of them fails by a unique index of the catalog.
_RACES = (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateSchema, psycopg.errors.DuplicateTable)
_NAME = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_CREATED = re.compile(r"^-- Created: (\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2})?)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """The checksum by which an edited file is told."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def entry(self) -> Applied:
        """What the ledger says of it once it is applied."""
        return Applied(self.number, self.name, self.sha256)

    @property
    def supabase_filename(self) -> str:
        """The name in a Supabase project: TIMESTAMP_name.sql, the timestamp from the time of its build and its number.

        https://supabase.com/docs/guides/deployment/database-migrations
        """
        created = _CREATED.search(self.sql)
        if created is None:
            raise MigrationError(f"{self.number:03}_{self.name}.sql has no line '-- Created: YYYY-MM-DD'")
        moment = datetime.fromisoformat(created[1]) + timedelta(seconds=self.number)
        return f"{moment:%Y%m%d%H%M%S}_vigilbase_{self.number:03}_{self.name}.sql"


def discover() -> list[Migration]:
    """Every migration of this program, by number."""
    found = []
    for entry in files("vigilbase.models").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def missing(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """The migrations that aren't in the ledger; later ones may be in it, as two versions may share a database.

    Raises:
        EarlierBuildError: a migration had another text or name when it was applied.
        MigrationError: 012 had.

    """
    applied = list(ledger)
    refuse_other_builds([migration.entry for migration in migrations], applied)
    numbers = {entry.number for entry in applied}
    waiting = [migration for migration in migrations if migration.number not in numbers]
    return sorted(waiting, key=lambda migration: migration.number)


def pending(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """The same for whoever wants to apply them, which takes the newest program that there is.

    Raises:
        MigrationError: see `missing`; or the database knows migrations that this program doesn't.

    """
    applied = list(ledger)
    waiting = missing(migrations, applied)
    refuse_ahead([migration.entry for migration in migrations], applied)
    return waiting


async def apply_pending(conninfo: str, migrations: Sequence[Migration], *, timeout: float = 60.0) -> list[Migration]:
    """Apply what is pending, in number order; return what this call applied.

    `timeout`: seconds to wait for the connection.

    Raises:
        MigrationError: see `pending` and `refuse_strays`; or a file fails, and then nothing of it stays.
        AccessRefusedError: the role may not create what is needed, or row-level security hides the ledger from it.
        DatabaseError: the database can't be reached.

    """
    done = []
    async with connected("migrate", conninfo, timeout) as connection:
        host = await read_host(connection)
        if waiting := pending(migrations, await read_entries(connection)):
            refuse_strays(host)
        for migration in waiting:
            if await _apply(connection, host, migrations, migration):
                log.info("migration.applied", number=migration.number, name=migration.name)
                done.append(migration)
    return done


async def read_ledger(conninfo: str, *, timeout: float = 5.0) -> list[Applied]:
    """What the database says was applied; nothing where there is no ledger yet.

    Raises:
        EarlierBuildError: the ledger is that of the first builds.
        AccessRefusedError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    async with connected("read the ledger of migrations", conninfo, timeout) as connection:
        return await read_entries(connection)


async def read_ledger_through(client: ServiceClient) -> Sequence[Applied]:
    """The same through a service client, for when there is only the Data API."""
    return await read_entries_through(client)


async def _apply(connection: Connection, host: Host, migrations: Sequence[Migration], migration: Migration) -> bool:
    """Apply one file in one transaction; False where another did it while we waited for the lock."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(*_RACES):
            return await _apply_once(connection, host, migrations, migration)
    return await _apply_once(connection, host, migrations, migration)


async def _apply_once(
    connection: Connection, host: Host, migrations: Sequence[Migration], migration: Migration
) -> bool:
    async with transaction(connection):
        await lock_ledger(connection, host)
        if migration not in pending(migrations, await read_entries(connection)):
            return False
        await apply_now(connection, host, migration)
    return True


async def lock_ledger(connection: Connection, host: Host) -> None:
    """Have the ledger for oneself to the end of the transaction; it is made if need be."""
    await connection.execute("SET LOCAL search_path = public")
    try:
        await connection.execute(ledger_sql().encode())
        await connection.execute(LOCK)
    except psycopg.errors.InsufficientPrivilege as error:
        raise refused("migrate", error, host) from error


async def apply_now(connection: Connection, host: Host, migration: Migration) -> None:
    """Run one file within a transaction that has the ledger locked, and write it into the ledger.

    Raises:
        MigrationError: the file fails.
        AccessRefusedError: the role may not do what the file does.

    """
    file = f"{migration.number:03}_{migration.name}.sql"
    try:
        await connection.execute(migration.sql.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise refused(file, error, host) from error
    except psycopg.Error as error:
        raise MigrationError(f"{file} failed: {error.diag.message_primary or error}") from error
    await connection.execute(
        "INSERT INTO vigilbase.migrations (number, name, sha256) VALUES (%s, %s, %s) ON CONFLICT (number) DO NOTHING",
        (migration.number, migration.name, migration.sha256),
    )
