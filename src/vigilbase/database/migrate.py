"""The migrations runner: discover, lock, apply, record.

Each file is applied in one transaction that locks the ledger and then reads it again, so of ten concurrent runs only
one applies each file, even through a pooler in transaction mode.
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
from vigilbase.database.direct import open_direct_connection, transaction
from vigilbase.database.host import Host, explain_denial, read_host, require_no_strays
from vigilbase.database.ledger import (
    LOCK,
    Applied,
    read_entries,
    read_entries_via,
    read_ledger_sql,
    require_not_ahead,
    require_same_build,
)
from vigilbase.database.pool import Connection
from vigilbase.errors import MigrationError
from vigilbase.logging import get_logger

log = get_logger(__name__)

_ATTEMPTS = 5
# Of two transactions that create the schema or the ledger at once, one violates a unique index of the catalog.
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
        """The checksum that reveals an edited file."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def entry(self) -> Applied:
        """The ledger's entry for this migration."""
        return Applied(self.number, self.name, self.sha256)

    @property
    def supabase_filename(self) -> str:
        """The name in a Supabase project: TIMESTAMP_name.sql. The timestamp is the date plus the number in seconds.

        https://supabase.com/docs/guides/deployment/database-migrations
        """
        created = _CREATED.search(self.sql)
        if created is None:
            raise MigrationError(f"{self.number:03}_{self.name}.sql has no line '-- Created: YYYY-MM-DD'")
        moment = datetime.fromisoformat(created[1]) + timedelta(seconds=self.number)
        return f"{moment:%Y%m%d%H%M%S}_vigilbase_{self.number:03}_{self.name}.sql"


def discover_migrations() -> list[Migration]:
    """All migrations of this version, sorted by number."""
    migrations = []
    for entry in files("vigilbase.models").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            migrations.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(migrations, key=lambda migration: migration.number)


def list_missing(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """The migrations that aren't in the ledger, which may contain later ones: two versions can share a database.

    Raises:
        EarlierBuildError: 013 or later had another text or name when it was applied.
        MigrationError: 012 had another text or name.

    """
    applied = list(ledger)
    require_same_build([migration.entry for migration in migrations], applied)
    numbers = {entry.number for entry in applied}
    pending = [migration for migration in migrations if migration.number not in numbers]
    return sorted(pending, key=lambda migration: migration.number)


def list_pending(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """Like `list_missing`, but rejects a ledger with later migrations: only the newest version may apply any.

    Raises:
        MigrationError: see `list_missing`; or the database has migrations that this version doesn't know.

    """
    applied = list(ledger)
    pending = list_missing(migrations, applied)
    require_not_ahead([migration.entry for migration in migrations], applied)
    return pending


async def apply_pending(conninfo: str, migrations: Sequence[Migration], *, timeout: float = 60.0) -> list[Migration]:
    """Apply the pending migrations in the order of their numbers; return those that this call applied.

    `timeout`: seconds to connect.

    Raises:
        MigrationError: see `list_pending` and `require_no_strays`; or a file fails, and is rolled back.
        AccessRefusedError: the role lacks a privilege, or row-level security hides the ledger from it.
        DatabaseError: the database can't be reached.

    """
    applied_here = []
    async with open_direct_connection("migrate", conninfo, timeout) as connection:
        host = await read_host(connection)
        if pending := list_pending(migrations, await read_entries(connection)):
            require_no_strays(host)
        for migration in pending:
            if await _apply(connection, host, migrations, migration):
                log.info("migration.applied", number=migration.number, name=migration.name)
                applied_here.append(migration)
    return applied_here


async def read_ledger(conninfo: str, *, timeout: float = 5.0) -> list[Applied]:
    """The applied migrations; none if there is no ledger yet. `timeout`: seconds to connect.

    Raises:
        EarlierBuildError: the ledger of the first builds exists.
        AccessRefusedError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    async with open_direct_connection("read the ledger of migrations", conninfo, timeout) as connection:
        return await read_entries(connection)


async def read_ledger_via(client: ServiceClient) -> Sequence[Applied]:
    """The applied migrations, read through a service client, for when there is only the Data API."""
    return await read_entries_via(client)


async def _apply(connection: Connection, host: Host, migrations: Sequence[Migration], migration: Migration) -> bool:
    """Apply one file in one transaction; return False if another run did it while this one waited for the lock."""
    for _ in range(_ATTEMPTS - 1):
        with suppress(*_RACES):
            return await _apply_once(connection, host, migrations, migration)
    return await _apply_once(connection, host, migrations, migration)


async def _apply_once(
    connection: Connection, host: Host, migrations: Sequence[Migration], migration: Migration
) -> bool:
    async with transaction(connection):
        await lock_ledger(connection, host)
        if migration not in list_pending(migrations, await read_entries(connection)):
            return False
        await apply_in_transaction(connection, host, migration)
    return True


async def lock_ledger(connection: Connection, host: Host) -> None:
    """Lock the ledger until the end of the transaction; create it if necessary.

    Raises:
        AccessRefusedError: the role lacks a privilege.

    """
    # 012 names no schema, and the role's search path may begin with another one than public.
    await connection.execute("SET LOCAL search_path = public")
    try:
        await connection.execute(read_ledger_sql().encode())
        await connection.execute(LOCK)
    except psycopg.errors.InsufficientPrivilege as error:
        raise explain_denial("migrate", error, host) from error


async def apply_in_transaction(connection: Connection, host: Host, migration: Migration) -> None:
    """Run one file and record it, within a transaction that holds the lock on the ledger.

    Raises:
        MigrationError: the file fails.
        AccessRefusedError: the role lacks a privilege.

    """
    file = f"{migration.number:03}_{migration.name}.sql"
    try:
        await connection.execute(migration.sql.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        raise explain_denial(file, error, host) from error
    except psycopg.Error as error:
        raise MigrationError(f"{file} failed: {error.diag.message_primary or error}") from error
    await connection.execute(
        # A repair runs applied files again, whose entries exist already.
        "INSERT INTO vigilbase.migrations (number, name, sha256) VALUES (%s, %s, %s) ON CONFLICT (number) DO NOTHING",
        (migration.number, migration.name, migration.sha256),
    )
