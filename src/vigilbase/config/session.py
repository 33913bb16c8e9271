"""How a face reaches the database: ready for the models, or by a direct connection for migrations."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from vigilbase.config.supabase import check_service_client, make_embedded_server
from vigilbase.config.supabase import get_supabase_service_client as service_client
from vigilbase.database.migrate import (
    Migration,
    apply_pending,
    discover_migrations,
    list_missing,
    list_pending,
    read_ledger,
    read_ledger_via,
)
from vigilbase.database.repair import Damage, find_damage_via, repair
from vigilbase.database.repair import find_damage as find_damage_at
from vigilbase.errors import ConfigurationError, MigrationError
from vigilbase.settings import Settings, check_database_url, choose_transport

NO_DDL = (
    "the Supabase Data API can't create tables, so choose one of three ways: set DATABASE_URL to the project's "
    "connection string and run `vigilbase migrate`; or paste the output of `vigilbase migrate --print` into the "
    "project's SQL editor; or run `vigilbase migrate --supabase DIR` in your Supabase project and then "
    "`supabase db push`"
)
MIGRATE_HINT = "run `vigilbase migrate`"
NO_CONNECTION = (
    "this needs a connection to Postgres, which Supabase's keys are not: set DATABASE_URL to the project's connection "
    "string"
)


@asynccontextmanager
async def open_ddl_postgres(settings: Settings, without: str = NO_DDL) -> AsyncIterator[str]:
    """The URL of a Postgres that accepts DDL; the embedded server runs until the block ends.

    Raises:
        MigrationError: only Supabase keys are configured; `without` is the message.
        ConfigurationError: DATABASE_URL is malformed.

    """
    transport = choose_transport(settings)
    if not transport.can_run_ddl:
        raise MigrationError(without)
    if transport.ddl_url is not None:
        url = transport.ddl_url.get_secret_value()
        check_database_url(url)
        yield url
        return
    server = make_embedded_server(settings)
    try:
        yield await asyncio.to_thread(server.start)
    finally:  # also if the start was cancelled, which continues in its thread
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def keep_own_server_running(settings: Settings) -> AsyncIterator[None]:
    """Keep the embedded server running for the block, if the settings choose it.

    Raises:
        EmbeddedPostgresError: the server can't be started.

    """
    if not choose_transport(settings).has_own_server:
        yield
        return
    async with open_ddl_postgres(settings):
        yield


def find_remedy(settings: Settings) -> str:
    """How to bring the schema up to date."""
    return MIGRATE_HINT if choose_transport(settings).can_run_ddl else NO_DDL


async def find_pending(settings: Settings) -> list[Migration]:
    """The migrations that are not applied to the database.

    Raises:
        MigrationError: the database is ahead of this version, or an applied file was edited.
        AccessRefusedError: row-level security hides the ledger from the role.
        DatabaseError: the database can't be reached.

    """
    if not choose_transport(settings).can_run_ddl:
        return list_pending(discover_migrations(), await read_ledger_via(service_client()))
    async with open_ddl_postgres(settings) as url:
        return list_pending(discover_migrations(), await read_ledger(url, timeout=settings.timeout))


async def find_damage(settings: Settings) -> Damage:
    """What applied migrations created that is missing, or that anyone can reach through a Data API.

    Raises:
        MigrationError: an earlier build created the schema.
        DatabaseError: the database can't be reached, or the role may not ask.

    """
    if not choose_transport(settings).can_run_ddl:
        client = service_client()
        pending = list_missing(discover_migrations(), await read_ledger_via(client))
        return await find_damage_via(client, [each for each in discover_migrations() if each not in pending])
    async with open_ddl_postgres(settings) as url:
        return await find_damage_at(url, discover_migrations(), timeout=settings.timeout)


@asynccontextmanager
async def open_database(settings: Settings, *, migrate: bool) -> AsyncIterator[None]:
    """A database that the models can use: reachable, migrated, and not hidden by row-level security.

    With `migrate`, pending migrations are applied first where that is possible. The embedded server runs until the
    block ends.

    Raises:
        VigilbaseError: the database can't be used; the message says what to do.

    """
    transport, migrations = choose_transport(settings), discover_migrations()
    if not transport.can_run_ddl:
        _require_nothing_pending(list_missing(migrations, await read_ledger_via(service_client())), NO_DDL)
        await check_service_client(service_client())
        _require_nothing_missing(await find_damage(settings), NO_DDL)
        yield
        return
    if transport.has_own_server and not migrate:
        _require_data(settings)
    async with open_ddl_postgres(settings) as url:
        if migrate:
            await apply_pending(url, migrations, timeout=settings.timeout)
            await repair(url, migrations, timeout=settings.timeout)
        else:
            ledger = await read_ledger(url, timeout=settings.timeout)
            # Not `list_pending`: this version still works with a database that a newer one has migrated.
            _require_nothing_pending(list_missing(migrations, ledger), MIGRATE_HINT)
            _require_nothing_missing(await find_damage_at(url, migrations, timeout=settings.timeout), MIGRATE_HINT)
        # Last, because the migrations create the function that it calls.
        await check_service_client(service_client())
        yield


def _require_data(settings: Settings) -> None:
    """Refuse to create an empty database for a command that reads one: the user may have forgotten DATABASE_URL."""
    server = make_embedded_server(settings)
    if not server.has_data():
        raise ConfigurationError(
            f"there is no database in {server.home} yet: `vigilbase up` or `vigilbase migrate` creates one; "
            "to use another database, set DATABASE_URL, or SUPABASE_URL and SUPABASE_SECRET_KEY"
        )


def _require_nothing_pending(pending: Sequence[Migration], remedy: str) -> None:
    if pending:
        names = ", ".join(f"{migration.number:03}_{migration.name}" for migration in pending)
        raise MigrationError(f"pending: {names}; {remedy}")


def _require_nothing_missing(damage: Damage, remedy: str) -> None:
    # Objects that are open to the public don't stop a command; the doctor reports them.
    if damage.lost:
        raise MigrationError(f"missing, although its migration is applied: {', '.join(damage.lost)}; {remedy}")
