"""What the commands share: how a coroutine is run, how settings are found, how a database for migrations is reached."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from vigilbase.config.supabase import check_service_client, close_supabase_service_client, embedded_server
from vigilbase.config.supabase import get_supabase_service_client as service_client
from vigilbase.database.host import Host, read_host_at, warnings_of
from vigilbase.database.migrate import (
    Migration,
    apply_pending,
    discover,
    missing,
    pending,
    read_ledger,
    read_ledger_through,
)
from vigilbase.database.repair import Damage, find_damage_through, repair
from vigilbase.database.repair import find_damage as find_damage_at
from vigilbase.errors import ConfigurationError, MigrationError
from vigilbase.settings import Settings, check_database_url, chosen_transport
from vigilbase.threads import DaemonThreads

Answer = TypeVar("Answer")

# Into a pipe or a file, a table is as wide as it needs to be.
out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout and sys.stdout.isatty() else 10_000)

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", help="The file that says what to watch.", metavar="FILE", dir_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DEFAULT_CONFIG = Path("vigilbase.yaml")

WITHOUT_DDL = (
    "the Supabase Data API can't create tables, so choose one of three ways: set DATABASE_URL to the project's "
    "connection string and run `vigilbase migrate`; or paste what `vigilbase migrate --print` writes into the "
    "project's SQL editor; or run `vigilbase migrate --supabase DIR` in your Supabase project and then "
    "`supabase db push`"
)
MIGRATE = "run `vigilbase migrate`"


def run(coroutine: Coroutine[object, object, Answer]) -> Answer:
    """Run a command's coroutine, and close its connections whatever happens."""

    async def closing() -> Answer:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        try:
            return await coroutine
        finally:
            await close_supabase_service_client()

    return asyncio.run(closing())


@asynccontextmanager
async def postgres_for_ddl(settings: Settings, without: str = WITHOUT_DDL) -> AsyncIterator[str]:
    """The URL of a Postgres that migrations can be applied to; the embedded one runs until the block ends.

    Raises:
        MigrationError: there are only Supabase keys; `without` says what to do about it.
        ConfigurationError: DATABASE_URL is malformed.

    """
    if settings.database_url is not None and chosen_transport(settings) != "embedded":
        url = settings.database_url.get_secret_value()
        check_database_url(url)
        yield url
        return
    if chosen_transport(settings) == "supabase":
        raise MigrationError(without)
    server = embedded_server(settings)
    url = await asyncio.to_thread(server.start)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def embedded_if_chosen(settings: Settings) -> AsyncIterator[None]:
    """Keep the embedded server running for the block, where it is the one that the settings mean.

    Raises:
        EmbeddedPostgresError: it can't be started.

    """
    if chosen_transport(settings) != "embedded":
        yield
        return
    async with postgres_for_ddl(settings):
        yield


def has_only_the_data_api(settings: Settings) -> bool:
    """Whether no migration can be applied from here."""
    return chosen_transport(settings) == "supabase" and settings.database_url is None


def remedy(settings: Settings) -> str:
    """What to do about a schema that isn't what it should be."""
    return WITHOUT_DDL if has_only_the_data_api(settings) else MIGRATE


async def warn_of_host(url: str, settings: Settings) -> Host:
    """Say on standard error what works in this database, but not as well as it should; return what it is like."""
    host = await read_host_at(url, timeout=settings.timeout)
    for found, advice in warnings_of(host):
        typer.echo(f"vigilbase: warning: {found}: {advice}", err=True)
    return host


async def find_pending(settings: Settings) -> list[Migration]:
    """The migrations that the database doesn't have yet.

    Raises:
        MigrationError: the database is ahead of this program, or an applied file was edited.
        AccessRefusedError: row-level security hides from the role what was applied.
        DatabaseError: the database can't be reached.

    """
    if has_only_the_data_api(settings):
        return pending(discover(), await read_ledger_through(service_client()))
    async with postgres_for_ddl(settings) as url:
        return pending(discover(), await read_ledger(url, timeout=settings.timeout))


async def find_damage(settings: Settings) -> Damage:
    """What applied migrations made and is gone, or is open to visitors of a Data API.

    Raises:
        MigrationError: the database is of an earlier build.
        DatabaseError: the database can't be reached, or the role may not even ask.

    """
    if has_only_the_data_api(settings):
        client = service_client()
        waiting = missing(discover(), await read_ledger_through(client))
        return await find_damage_through(client, [each for each in discover() if each not in waiting])
    async with postgres_for_ddl(settings) as url:
        return await find_damage_at(url, discover(), timeout=settings.timeout)


@asynccontextmanager
async def ready_database(settings: Settings, *, migrate: bool) -> AsyncIterator[None]:
    """A database that the models can use: reachable, migrated, and not hidden by row-level security.

    With `migrate`, what is pending is applied first, where that can be done. The embedded server runs meanwhile.

    Raises:
        VigilbaseError: it isn't, and the message says what to do.

    """
    if has_only_the_data_api(settings):
        _require_none(missing(discover(), await read_ledger_through(service_client())), WITHOUT_DDL)
        await check_service_client(service_client())
        _require_nothing_lost(await find_damage(settings), WITHOUT_DDL)
        yield
        return
    if not migrate:
        _require_embedded_data(settings)
    async with postgres_for_ddl(settings) as url:
        if migrate:
            await apply_pending(url, discover(), timeout=settings.timeout)
            await repair(url, discover(), timeout=settings.timeout)
        else:
            _require_none(missing(discover(), await read_ledger(url, timeout=settings.timeout)), MIGRATE)
            _require_nothing_lost(await find_damage_at(url, discover(), timeout=settings.timeout), MIGRATE)
        await check_service_client(service_client())
        yield


def _require_embedded_data(settings: Settings) -> None:
    """Refuse to make a database where one is expected: DATABASE_URL may just have been forgotten."""
    if chosen_transport(settings) != "embedded":
        return
    home = embedded_server(settings).home
    if not embedded_server(settings).data.exists():
        raise ConfigurationError(
            f"there is no database in {home} yet: `vigilbase up` or `vigilbase migrate` makes one; "
            "for another one set DATABASE_URL, or SUPABASE_URL and SUPABASE_SECRET_KEY"
        )


def _require_none(waiting: Sequence[Migration], remedy: str) -> None:
    if waiting:
        names = ", ".join(f"{migration.number:03}_{migration.name}" for migration in waiting)
        raise MigrationError(f"pending: {names}; {remedy}")


def _require_nothing_lost(damage: Damage, advice: str) -> None:
    """What is open to visitors stops nobody; the doctor tells it."""
    if damage.lost:
        raise MigrationError(f"missing, though its migration is applied: {', '.join(damage.lost)}; {advice}")
