"""`vigilbase db url|psql|dump|restore`: Postgres' own programs on the configured database."""

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.cli.confirm import confirm_host, require_yes
from vigilbase.cli.output import print_line
from vigilbase.cli.session import run_command
from vigilbase.config.session import MIGRATE_HINT, NO_CONNECTION, open_ddl_postgres
from vigilbase.database.binaries import extract_reason, find_client_program
from vigilbase.database.dump import count_rows, make_dump_arguments, require_dump_of, write_restore_script
from vigilbase.database.migrate import apply_pending, discover_migrations, list_pending, read_ledger
from vigilbase.database.repair import repair
from vigilbase.database.urls import make_environment, redact_url
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError, MigrationError
from vigilbase.settings import Settings, load_settings

app = typer.Typer(help="Open, dump and restore the database.", no_args_is_help=True)

DumpFile = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The dump, in pg_dump's custom format.")]


@app.command()
def url() -> None:
    """Print the database's URL, with its password redacted.

    The embedded server has no password: it listens on a socket, and runs while a vigilbase command runs.

    Example: vigilbase db url
    """
    print_line(redact_url(run_command(_find_url())))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database. Further arguments go to psql.

    Example: vigilbase db psql -c "SELECT * FROM alert_events"
    """
    sys.exit(run_command(_run("psql", *context.args, stderr=None)).returncode)


@app.command()
def dump(file: DumpFile) -> None:
    """Write the rows of Vigilbase's tables, and of no other table, to a file.

    Example: vigilbase db dump vigilbase.dump
    """
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file}: is not a regular file, so no dump can be written to it")
    run_command(_require_migrated(load_settings()))
    # Written beside it first, so that a failing dump leaves an earlier one intact.
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        unfinished = Path(folder) / "dump"
        unfinished.touch(mode=0o600)  # it contains everything that Vigilbase knows
        run_command(_run_or_fail("dumped", "pg_dump", *make_dump_arguments(unfinished)))
        unfinished.replace(file)
    print_line(f"Dumped to {file}.")


@app.command()
def restore(
    file: DumpFile,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Replace the rows of Vigilbase's tables, and of no other table, with those of a dump.

    Runs in one transaction. The dump must come from this version of Vigilbase or an older one, and no runner may be
    active.

    Example: vigilbase db restore vigilbase.dump
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: {'is not a regular file' if file.exists() else 'does not exist'}")
    require_dump_of(file, discover_migrations())
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "restore.sql"
        write_restore_script(file, script)  # before anything else, since only this detects a truncated dump
        _restore(load_settings(), script, yes=yes)
    print_line(f"Restored from {file}.")


def _restore(settings: Settings, script: Path, *, yes: bool) -> None:
    if not yes:
        confirm_host(settings)
    rows = run_command(_count_rows(settings))
    for table, count in rows.items():
        if count:
            print_line(f"replace  {table} ({count:,} rows)")
    if not yes and any(rows.values()):
        require_yes("Replace these rows?", without_terminal="this replaces the rows above for good: add --yes to do it")
    # Only after the answer, since a no must leave the database as it is.
    run_command(_migrate(settings))
    # A psqlrc of the user could change anything, and each setval() would print its result.
    quiet = ["--no-psqlrc", "--quiet", f"--output={os.devnull}"]
    arguments = [*quiet, "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={script}"]
    run_command(_run_or_fail("restored", "psql", *arguments))


async def _require_migrated(settings: Settings) -> None:
    async with open_ddl_postgres(settings, NO_CONNECTION) as conninfo:
        if pending := list_pending(discover_migrations(), await read_ledger(conninfo, timeout=settings.timeout)):
            name = f"{pending[0].number:03}_{pending[0].name}"
            raise MigrationError(f"pending: {name}, …; {MIGRATE_HINT} before the dump")


async def _count_rows(settings: Settings) -> dict[str, int]:
    async with open_ddl_postgres(settings, NO_CONNECTION) as conninfo:
        list_pending(discover_migrations(), await read_ledger(conninfo, timeout=settings.timeout))
        return await count_rows(conninfo, timeout=settings.timeout)


async def _migrate(settings: Settings) -> None:
    async with open_ddl_postgres(settings, NO_CONNECTION) as conninfo:
        await apply_pending(conninfo, discover_migrations(), timeout=settings.timeout)
        await repair(conninfo, discover_migrations(), timeout=settings.timeout)


async def _find_url() -> str:
    async with open_ddl_postgres(load_settings(), NO_CONNECTION) as conninfo:
        return conninfo


async def _run_or_fail(action: str, name: str, *arguments: str) -> None:
    """Run a program that has to succeed; the error is one line."""
    result = await _run(name, *arguments, stderr=subprocess.PIPE)
    if result.returncode:
        detail = re.search(r"^DETAIL: *(.*)$", result.stderr, re.MULTILINE)
        reason = f"{extract_reason(result.stderr)}{f' ({detail[1]})' if detail else ''}"
        raise EmbeddedPostgresError(f"nothing was {action}: {reason}")


async def _run(name: str, *arguments: str, stderr: int | None) -> "subprocess.CompletedProcess[str]":
    settings = load_settings()
    # Without a limit, libpq would wait for a frozen host, and never try the others of the URL.
    limit = {"PGCONNECT_TIMEOUT": str(math.ceil(settings.timeout))}
    async with open_ddl_postgres(settings, NO_CONNECTION) as conninfo:
        # Any user can see a program's arguments, and the URL may contain a password.
        environment = {**limit, **os.environ, **make_environment(conninfo)}
        # Ctrl-C is for the program to handle; we wait until it has.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            command = [find_client_program(name, environment), *arguments]
            return subprocess.run(  # noqa: ASYNC221 (nothing else runs meanwhile)
                command, env=environment, check=False, preexec_fn=_restore_interrupt, stderr=stderr, text=True
            )
        finally:
            signal.signal(signal.SIGINT, previous)


def _restore_interrupt() -> None:
    # Ignored signals are inherited, so without this psql would ignore Ctrl-C, too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="db")
