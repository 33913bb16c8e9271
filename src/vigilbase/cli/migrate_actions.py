"""What `vigilbase migrate` does: each action, and what it prints."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from vigilbase.cli.confirm import require_yes, warn_about_host
from vigilbase.cli.output import print_line
from vigilbase.cli.session import run_command
from vigilbase.config.session import (
    NO_CONNECTION,
    find_damage,
    find_pending,
    find_remedy,
    keep_own_server_running,
    open_ddl_postgres,
)
from vigilbase.database.migrate import Migration, apply_pending, discover_migrations
from vigilbase.database.remove import OwnedObject, list_owned, rebuild, remove
from vigilbase.database.repair import Damage, repair
from vigilbase.database.script import render_script
from vigilbase.database.supabase_files import write_supabase_files
from vigilbase.settings import Settings, choose_transport

KEPT_TABLES = "Kept: service_health_checks and alert_events with their rows."
PLURALS = {"index": "indexes"}


def print_script() -> None:
    # Not through Rich, so that the SQL arrives as it is.
    sys.stdout.write(render_script(discover_migrations()))


def apply_migrations(settings: Settings) -> None:
    applied, damage = run_command(_apply(settings))
    for migration in applied:
        print_line(f"applied  {_format_name(migration)}")
    for name in damage.lost:
        without_rows = " (without its rows)" if name.startswith("table ") else ""
        print_line(f"recreated  {name}{without_rows}")
    for name in damage.exposed:
        print_line(f"closed to anon and authenticated  {name}")
    if not applied and not damage:
        print_line("Nothing is pending.")


async def _apply(settings: Settings) -> tuple[list[Migration], Damage]:
    async with open_ddl_postgres(settings) as url:
        await warn_about_host(url, settings)
        applied = await apply_pending(url, discover_migrations(), timeout=settings.timeout)
        return applied, await repair(url, discover_migrations(), timeout=settings.timeout)


def check_schema(settings: Settings) -> None:
    """List what is pending or missing; exit with 1 if anything is."""
    pending, damage = run_command(_find_problems(settings))
    for migration in pending:
        print_line(f"pending  {_format_name(migration)}")
    for name in damage.lost:
        print_line(f"missing  {name}")
    for name in damage.exposed:
        print_line(f"open to anon or authenticated  {name}")
    if damage:
        print_line(f"The schema differs from the migrations: {find_remedy(settings)}.")
    if pending or damage:
        sys.exit(1)
    print_line("Nothing is pending.")


async def _find_problems(settings: Settings) -> tuple[list[Migration], Damage]:
    # Otherwise each step would start and stop the embedded server, which takes a second (decision 4).
    async with keep_own_server_running(settings):
        if choose_transport(settings).can_run_ddl:
            async with open_ddl_postgres(settings) as url:
                await warn_about_host(url, settings)
        pending = await find_pending(settings)
        return pending, await find_damage(settings)


def remove_schema(settings: Settings, *, history: bool, yes: bool) -> None:
    async def find() -> list[OwnedObject]:
        async with open_ddl_postgres(settings, NO_CONNECTION) as url:
            return await list_owned(url, timeout=settings.timeout, history=history)

    async def drop() -> None:
        async with open_ddl_postgres(settings, NO_CONNECTION) as url:
            await remove(url, timeout=settings.timeout, history=history)

    if not (owned := run_command(find())):
        print_line("The database contains nothing of Vigilbase's.")
        return
    _confirm_and_run("Remove", owned, drop, yes=yes, keeps_history=not history)
    print_line("Removed. `vigilbase migrate` creates everything again, empty.")


def rebuild_schema(settings: Settings, *, yes: bool) -> None:
    async def find() -> list[OwnedObject]:
        async with open_ddl_postgres(settings, NO_CONNECTION) as url:
            await warn_about_host(url, settings)
            return await list_owned(url, timeout=settings.timeout, history=False)

    async def drop_and_apply() -> None:
        async with open_ddl_postgres(settings, NO_CONNECTION) as url:
            await rebuild(url, discover_migrations(), timeout=settings.timeout)

    question = "Drop these and create the rest again"
    _confirm_and_run(question, run_command(find()), drop_and_apply, yes=yes, keeps_history=True)
    for migration in discover_migrations():
        print_line(f"applied  {_format_name(migration)}")


def _confirm_and_run(
    question: str,
    owned: Sequence[OwnedObject],
    act: Callable[[], Coroutine[object, object, None]],
    *,
    yes: bool,
    keeps_history: bool,
) -> None:
    """List what is dropped, ask unless `yes`, and act."""
    for line in _list_drops(owned):
        print_line(line)
    if keeps_history:
        print_line(KEPT_TABLES)
    # If there is nothing to drop, there is nothing to confirm.
    if not yes and owned:
        require_yes(f"{question}?", without_terminal="this drops the objects above for good: add --yes to do it")
    run_command(act())


def _list_drops(owned: Sequence[OwnedObject]) -> list[str]:
    """A line for each table, with its rows; one line for the rest."""
    lines = [f"drop  table {each.signature} ({each.rows:,} rows)" for each in owned if each.rows is not None]
    kinds = [each.kind.lower() for each in owned if each.rows is None]
    counts = [
        f"{kinds.count(kind)} {kind if kinds.count(kind) == 1 else PLURALS.get(kind, f'{kind}s')}"
        for kind in dict.fromkeys(kinds)
    ]
    return lines + ([f"drop  {', '.join(counts)}"] if counts else [])


def write_files(project: Path, *, replace: bool) -> None:
    changes = write_supabase_files(project, discover_migrations(), replace=replace)
    for path in changes.removed:
        print_line(f"removed  {path}")
    for path in changes.written:
        print_line(f"written  {path}")
    for path in changes.kept:
        print_line(f"kept     {path}")
    if changes.reverted:
        print_line(
            "If you have pushed the removed files: run `vigilbase migrate --rebuild` with DATABASE_URL set, then "
            f"`supabase migration repair --status reverted {' '.join(changes.reverted)}` and `supabase db push`."
        )


def _format_name(migration: Migration) -> str:
    return f"{migration.number:03}_{migration.name}"
