"""The migrations runner: discover, lock, apply, remember; and print, for those who have a migrator of their own.

Each file is applied in one transaction that takes the lock first and looks at the ledger again behind it, so of ten
that start at once each file is applied by one, also through a pooler in transaction mode.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import psycopg

from vigilbase.database.blindness import BlindRoleError
from vigilbase.database.client import Order, ServiceClient
from vigilbase.database.pool import Connection
from vigilbase.database.postgres import check_conninfo, connect, domain_error
from vigilbase.errors import MigrationError, MissingSchemaError
from vigilbase.logging import get_logger

log = get_logger(__name__)

_LOCK = "SELECT pg_advisory_xact_lock(1986619242, 0)"  # "vigj": the neighbour of the services' locks in 013
_NAME = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_CREATED = re.compile(r"^-- Created: (\d{4})-(\d{2})-(\d{2})$", re.MULTILINE)


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
    def supabase_filename(self) -> str:
        """The name in a Supabase project: TIMESTAMP_name.sql, the timestamp from the file's date and number.

        https://supabase.com/docs/guides/deployment/database-migrations
        """
        created = _CREATED.search(self.sql)
        if created is None:
            raise MigrationError(f"{self.number:03}_{self.name}.sql has no line '-- Created: YYYY-MM-DD'")
        clock = f"{self.number // 3600:02}{self.number // 60 % 60:02}{self.number % 60:02}"
        return f"{''.join(created.groups())}{clock}_vigilbase_{self.number:03}_{self.name}.sql"


@dataclass(frozen=True, slots=True)
class Applied:
    """One entry of the ledger."""

    number: int
    name: str
    sha256: str


def discover() -> list[Migration]:
    """Every migration of this program, by number."""
    found = []
    for entry in files("vigilbase.models").joinpath("migrations").iterdir():
        match = _NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.number)


def pending(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """The migrations that are not in the ledger.

    Raises:
        MigrationError: an applied file was edited since, or the database knows migrations that this program doesn't.

    """
    applied = {entry.number: entry for entry in ledger}
    known = {migration.number for migration in migrations}
    if unknown := sorted(applied.keys() - known):
        raise MigrationError(
            f"the database is ahead of this program (it has migration {unknown[-1]:03}_{applied[unknown[-1]].name}): "
            "upgrade vigilbase"
        )
    for migration in migrations:
        entry = applied.get(migration.number)
        if entry and entry.sha256 != migration.sha256:
            raise MigrationError(
                f"{migration.number:03}_{migration.name}.sql was edited after it was applied: "
                "restore the file as it was, and put the change into a new migration"
            )
    waiting = [migration for migration in migrations if migration.number not in applied]
    return sorted(waiting, key=lambda migration: migration.number)


async def apply_pending(conninfo: str, migrations: Sequence[Migration], *, timeout: float = 60.0) -> list[Migration]:
    """Apply what is pending, in number order; return what this call applied.

    `timeout`: seconds to wait for the connection.

    Raises:
        MigrationError: see `pending`; or a file fails, and then nothing of it stays.
        AccessRefusedError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    done = []
    async with _connected("migrate", conninfo, timeout) as connection:
        for migration in pending(migrations, await _read_ledger(connection)):
            if await _apply(connection, migrations, migration):
                log.info("migration.applied", number=migration.number, name=migration.name)
                done.append(migration)
    return done


def missing(migrations: Sequence[Migration], ledger: Iterable[Applied]) -> list[Migration]:
    """The migrations that are not in the ledger, whatever else is: two versions of the program may share a database."""
    applied = {entry.number for entry in ledger}
    return [migration for migration in migrations if migration.number not in applied]


async def read_ledger(conninfo: str, *, timeout: float = 5.0) -> list[Applied]:
    """What the database says was applied; nothing where there is no ledger yet.

    Raises:
        AccessRefusedError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    async with _connected("read the ledger of migrations", conninfo, timeout) as connection:
        return await _read_ledger(connection)


async def read_ledger_through(client: ServiceClient) -> list[Applied]:
    """The same through a service client, for when there is only the Data API."""
    try:
        rows = await client.select("vigilbase_migrations", order=[Order("number")])
        if not rows:
            await _require_sight_through(client)
    except MissingSchemaError:
        return []
    return [Applied(int(str(row["number"])), str(row["name"]), str(row["sha256"])) for row in rows]


@asynccontextmanager
async def _connected(attempt: str, conninfo: str, timeout: float) -> AsyncIterator[Connection]:
    """A connection for the block, and the driver's errors in it as ours."""
    check_conninfo(conninfo)
    try:
        async with await connect(conninfo, timeout) as connection:
            yield connection
    except psycopg.Error as error:
        raise domain_error(attempt, error) from error


async def _read_ledger(connection: Connection) -> list[Applied]:
    try:
        cursor = await connection.execute(
            "SELECT number, name, sha256 FROM public.vigilbase_migrations ORDER BY number"
        )
    except psycopg.errors.UndefinedTable:
        return []
    rows = await cursor.fetchall()
    if not rows:
        await _require_sight(connection)
    return [Applied(**row) for row in rows]


async def _require_sight(connection: Connection) -> None:
    """Refuse to take a ledger for empty that is only hidden."""
    cursor = await connection.execute(
        "SELECT row_security_active('public.vigilbase_migrations') AS hidden, current_user AS role"
    )
    answer = await cursor.fetchone()
    if answer and answer["hidden"]:
        raise BlindRoleError(answer["role"])


async def _require_sight_through(client: ServiceClient) -> None:
    """The same by what 013 has for it, as the Data API calls only what is there for it."""
    access = await client.call("vigilbase_access_v1")
    if isinstance(access, Mapping) and access.get("blind") is True:
        raise BlindRoleError(access.get("role"))


async def _apply(connection: Connection, migrations: Sequence[Migration], migration: Migration) -> bool:
    """Apply one file in one transaction; False where another did it while we waited for the lock."""
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute("SET LOCAL search_path = public")
        await connection.execute(_ledger_sql())
        if migration not in pending(migrations, await _read_ledger(connection)):
            return False
        try:
            await connection.execute(migration.sql.encode())
        except psycopg.Error as error:
            said = error.diag.message_primary or str(error)
            raise MigrationError(f"{migration.number:03}_{migration.name}.sql failed: {said}") from error
        await connection.execute(
            "INSERT INTO public.vigilbase_migrations (number, name, sha256) VALUES (%s, %s, %s)",
            (migration.number, migration.name, migration.sha256),
        )
    return True


def with_ledger_entry(migration: Migration) -> str:
    """A migration's SQL as somebody else's migrator runs it: it writes its own entry into the ledger."""
    # Numbers, names and checksums are made of [a-z0-9_], so nothing needs quoting.
    # 012 names no schema, being the contract as it was given; a host may have put another first in its search path.
    return (
        f"SET search_path = public;\n{migration.sql}\nRESET search_path;\n{_ledger_sql()}"
        "INSERT INTO public.vigilbase_migrations (number, name, sha256)\n"
        f"VALUES ({migration.number}, '{migration.name}', '{migration.sha256}')\n"
        "ON CONFLICT DO NOTHING;\n"
    )


def as_script(migrations: Sequence[Migration]) -> str:
    """All of them as one script for an SQL editor or psql, whole or not at all."""
    return (
        "BEGIN;\nSET LOCAL client_min_messages = warning;\n\n"
        + "\n".join(map(with_ledger_entry, migrations))
        + "\nCOMMIT;\n"
    )


def write_supabase_files(project: Path, migrations: Sequence[Migration]) -> tuple[list[Path], list[Path]]:
    """Write the files into a Supabase project's `supabase/migrations/`; return those written and those kept.

    A file that is there already stays as it is: it may have been applied.

    Raises:
        MigrationError: that is no Supabase project, or the files can't be written.

    """
    if not (project / "supabase").is_dir():
        raise MigrationError(
            f"{project} is no Supabase project (it has no folder supabase/): run `supabase init` there"
        )
    folder = project / "supabase" / "migrations"
    written, kept = [], []
    try:
        folder.mkdir(exist_ok=True)
        for migration in migrations:
            path = folder / migration.supabase_filename
            if path.exists():
                kept.append(path)
                continue
            path.write_text(with_ledger_entry(migration), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise MigrationError(f"can't write into {folder}: {error.strerror}") from error
    return written, kept


def _ledger_sql() -> str:
    return files("vigilbase.database").joinpath("ledger.sql").read_text(encoding="utf-8")
