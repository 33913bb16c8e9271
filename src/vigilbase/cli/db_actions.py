"""What `vigilbase db` does on the configured database, with Postgres' own programs."""

import math
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vigilbase.cli.confirm import confirm_host, require_yes
from vigilbase.cli.output import print_line
from vigilbase.cli.session import run_command
from vigilbase.config.session import MIGRATE_HINT, NO_CONNECTION, open_ddl_postgres
from vigilbase.database.binaries import extract_reason, find_client_program
from vigilbase.database.dump import count_rows, make_dump_arguments, require_dump_of, write_restore_script
from vigilbase.database.migrate import apply_pending, discover_migrations, list_pending, read_ledger
from vigilbase.database.repair import repair
from vigilbase.database.urls import make_environment, redact_url
from vigilbase.errors import EmbeddedPostgresError, MigrationError
from vigilbase.settings import Settings, load_settings


def print_url() -> None:
    print_line(redact_url(run_command(_find_url())))


def run_psql(arguments: Sequence[str]) -> int:
    """Open psql; return its exit code."""
    return run_command(_run("psql", *arguments, stderr=None)).returncode


def dump_to(file: Path) -> None:
    """Write a dump beside the file first, so that a failing dump leaves an earlier one intact."""
    run_command(_require_migrated(load_settings()))
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        unfinished = Path(folder) / "dump"
        unfinished.touch(mode=0o600)  # it contains everything that Vigilbase knows
        run_command(_run_or_fail("dumped", "pg_dump", *make_dump_arguments(unfinished)))
        unfinished.replace(file)
    print_line(f"Dumped to {file}.")


def restore_from(file: Path, *, yes: bool) -> None:
    """Replace the rows with those of a dump, after a question unless `yes`."""
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
