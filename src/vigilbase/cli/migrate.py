"""`vigilbase migrate`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.cli.context import RESTORE, embedded_if_chosen, find_pending, out, postgres_for_ddl, run
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.migrate import Migration, apply_pending, as_script, discover, write_supabase_files
from vigilbase.database.schema import find_lost
from vigilbase.errors import ConfigurationError
from vigilbase.settings import Settings, load_settings


def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is pending or missing; exit code 1 if anything is.")
    ] = False,
    print_sql: Annotated[bool, typer.Option("--print", help="Write the SQL, for an SQL editor or psql.")] = False,
    supabase: Annotated[
        Path | None,
        typer.Option(
            "--supabase", metavar="DIR", help="Write the files into a Supabase project's supabase/migrations/."
        ),
    ] = None,
) -> None:
    """Bring the database's schema up to date.

    What is pending is applied in order, each file in one transaction.

    Example: vigilbase migrate --check
    """
    if check + print_sql + (supabase is not None) > 1:
        raise ConfigurationError("--check, --print and --supabase exclude each other: choose one")
    if print_sql:
        sys.stdout.write(as_script(discover()))
    elif supabase is not None:
        _write(supabase)
    elif check:
        _check()
    else:
        applied = run(_apply(load_settings()))
        for migration in applied:
            out.print(f"applied  {_name(migration)}")
        if not applied:
            out.print("Nothing is pending.")


def _check() -> None:
    waiting, lost = run(_look(load_settings()))
    for migration in waiting:
        out.print(f"pending  {_name(migration)}")
    for what in lost:
        out.print(f"missing  {what}")
    if lost:
        out.print(f"What is missing was made by an applied migration: {RESTORE}.")
    if waiting or lost:
        sys.exit(1)
    out.print("Nothing is pending.")


async def _look(settings: Settings) -> tuple[list[Migration], list[str]]:
    """What is not applied, and what is applied and gone."""
    async with embedded_if_chosen(settings):
        waiting = await find_pending(settings)
        applied = [migration for migration in discover() if migration not in waiting]
        return waiting, await find_lost(get_supabase_service_client(), applied)


async def _apply(settings: Settings) -> list[Migration]:
    async with postgres_for_ddl(settings) as url:
        return await apply_pending(url, discover(), timeout=settings.timeout)


def _write(project: Path) -> None:
    written, kept = write_supabase_files(project, discover())
    for path in written:
        out.print(f"written  {path}")
    for path in kept:
        out.print(f"kept     {path}")


def _name(migration: Migration) -> str:
    return f"{migration.number:03}_{migration.name}"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(migrate)
