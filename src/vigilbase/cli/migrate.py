"""`vigilbase migrate`."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.cli.confirm import require_yes
from vigilbase.cli.context import (
    embedded_if_chosen,
    find_damage,
    find_pending,
    has_only_the_data_api,
    out,
    postgres_for_ddl,
    remedy,
    run,
    warn_of_host,
)
from vigilbase.database.migrate import Migration, apply_pending, discover
from vigilbase.database.remove import Made, find_ours, rebuild, remove
from vigilbase.database.repair import Damage, repair
from vigilbase.database.script import as_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.errors import ConfigurationError
from vigilbase.settings import Settings, load_settings

WITHOUT_CONNECTION = (
    "this needs a connection to Postgres, and Supabase's keys are none: set DATABASE_URL to the project's connection "
    "string"
)
KEPT = "Kept: service_health_checks and alert_events with their rows."


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
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Replace what an earlier build made, but not service_health_checks and alert_events; "
            "with --supabase, replace its files.",
        ),
    ] = False,
    take_away: Annotated[
        bool, typer.Option("--remove", help="Drop all that Vigilbase made but service_health_checks and alert_events.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="With --remove: drop these two as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --rebuild or --remove: don't ask.")] = False,
) -> None:
    """Bring the database's schema up to date.

    What is pending is applied in order, each file in one transaction; what is missing is made again.

    Example: vigilbase migrate --check
    """
    _refuse_what_excludes(check + print_sql + (supabase is not None or from_scratch) + take_away)
    if history and not take_away:
        raise ConfigurationError("--history goes with --remove")
    if print_sql:
        sys.stdout.write(as_script(discover()))
    elif supabase is not None:
        _write(supabase, replace=from_scratch)
    elif check:
        _check()
    elif take_away:
        _remove(load_settings(), history=history, yes=yes)
    elif from_scratch:
        _rebuild(load_settings(), yes=yes)
    else:
        _migrate(load_settings())


def _refuse_what_excludes(chosen: int) -> None:
    if chosen > 1:
        raise ConfigurationError(
            "--check, --print, --supabase, --rebuild and --remove exclude each other, but for --rebuild with "
            "--supabase: choose one"
        )


def _migrate(settings: Settings) -> None:
    applied, damage = run(_apply(settings))
    for migration in applied:
        out.print(f"applied  {_name(migration)}")
    for what in damage.lost:
        without_rows = " (without its rows)" if what.startswith("table ") else ""
        out.print(f"made again  {what}{without_rows}", markup=False)
    for what in damage.exposed:
        out.print(f"closed to anon and authenticated  {what}", markup=False)
    if not applied and not damage:
        out.print("Nothing is pending.")


async def _apply(settings: Settings) -> tuple[list[Migration], Damage]:
    async with postgres_for_ddl(settings) as url:
        await warn_of_host(url, settings)
        applied = await apply_pending(url, discover(), timeout=settings.timeout)
        return applied, await repair(url, discover(), timeout=settings.timeout)


def _check() -> None:
    settings = load_settings()
    waiting, damage = run(_look(settings))
    for migration in waiting:
        out.print(f"pending  {_name(migration)}")
    for what in damage.lost:
        out.print(f"missing  {what}", markup=False)
    for what in damage.exposed:
        out.print(f"open to anon or authenticated  {what}", markup=False)
    if damage:
        out.print(f"Not as the migrations made it: {remedy(settings)}.", markup=False)
    if waiting or damage:
        sys.exit(1)
    out.print("Nothing is pending.")


async def _look(settings: Settings) -> tuple[list[Migration], Damage]:
    async with embedded_if_chosen(settings):
        if not has_only_the_data_api(settings):
            async with postgres_for_ddl(settings) as url:
                await warn_of_host(url, settings)
        waiting = await find_pending(settings)
        return waiting, await find_damage(settings)


def _remove(settings: Settings, *, history: bool, yes: bool) -> None:
    async def look() -> list[Made]:
        async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
            return await find_ours(url, timeout=settings.timeout, history=history)

    async def act() -> None:
        async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
            await remove(url, timeout=settings.timeout, history=history)

    if not (ours := run(look())):
        out.print("There is nothing of Vigilbase's to remove.")
        return
    _ask_and_do("Remove", ours, act, yes=yes, kept=not history)
    out.print("Removed. `vigilbase migrate` makes it anew, empty.")


def _rebuild(settings: Settings, *, yes: bool) -> None:
    async def look() -> list[Made]:
        async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
            await warn_of_host(url, settings)
            return await find_ours(url, timeout=settings.timeout, history=False)

    async def act() -> None:
        async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
            await rebuild(url, discover(), timeout=settings.timeout)

    _ask_and_do("Drop these and make the rest anew", run(look()), act, yes=yes, kept=True)
    for migration in discover():
        out.print(f"applied  {_name(migration)}")


def _ask_and_do(
    question: str, ours: Sequence[Made], work: Callable[[], Coroutine[object, object, None]], *, yes: bool, kept: bool
) -> None:
    """Say what goes, ask unless `yes`, and do the work."""
    for line in _listed(ours):
        out.print(line, markup=False)
    if kept:
        out.print(KEPT)
    if not yes and ours:
        require_yes(f"{question}?", without_terminal="this drops what is listed, for good: say --yes to do it")
    run(work())


def _listed(ours: Sequence[Made]) -> list[str]:
    """Tables one by one, with what would be lost in them; the rest in one line."""
    lines = [f"drop  table {made.signature} ({made.rows:,} rows)" for made in ours if made.rows is not None]
    kinds = [made.kind.lower() for made in ours if made.rows is None]
    plural = {"index": "indexes"}
    counted = [
        f"{kinds.count(kind)} {kind if kinds.count(kind) == 1 else plural.get(kind, f'{kind}s')}"
        for kind in dict.fromkeys(kinds)
    ]
    return lines + ([f"drop  {', '.join(counted)}"] if counted else [])


def _write(project: Path, *, replace: bool) -> None:
    done = write_supabase_files(project, discover(), replace=replace)
    for path in done.removed:
        out.print(f"removed  {path}", markup=False)
    for path in done.written:
        out.print(f"written  {path}", markup=False)
    for path in done.kept:
        out.print(f"kept     {path}", markup=False)
    if done.reverted:
        out.print(
            "If they were pushed before: `vigilbase migrate --rebuild` with DATABASE_URL set, then "
            f"`supabase migration repair --status reverted {' '.join(done.reverted)}` and `supabase db push`.",
            markup=False,
        )


def _name(migration: Migration) -> str:
    return f"{migration.number:03}_{migration.name}"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(migrate)
