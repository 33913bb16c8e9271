"""`vigilbase db url|psql|dump|restore`: Postgres' own programs, from the wheel, on the configured database."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.cli.confirm import is_wanted_there, require_yes
from vigilbase.cli.context import MIGRATE, out, postgres_for_ddl, run
from vigilbase.database.dump import count_rows, dump_arguments, require_dump_of, write_restore_script
from vigilbase.database.migrate import apply_pending, discover, pending, read_ledger
from vigilbase.database.programs import programs_folder, reason_in
from vigilbase.database.repair import repair
from vigilbase.database.urls import environment_of, masked
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError, MigrationError
from vigilbase.settings import Settings, load_settings

app = typer.Typer(help="Reach the database with Postgres' own programs.", no_args_is_help=True)

DumpFile = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The dump, in pg_dump's custom format.")]


WITHOUT_CONNECTION = (
    "`vigilbase db` needs a connection to Postgres, and Supabase's keys are none: "
    "set DATABASE_URL to the project's connection string"
)


@app.command()
def url() -> None:
    """Print the database's URL, a password in it masked.

    The embedded server is reached by a socket and needs none; it runs as long as some vigilbase command does.

    Example: vigilbase db url
    """
    out.print(masked(run(_url())), markup=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database; what follows goes to psql.

    Example: vigilbase db psql -c "SELECT * FROM alert_events"
    """
    sys.exit(run(_program("psql", *context.args)))


@app.command()
def dump(file: DumpFile) -> None:
    """Write all of Vigilbase's rows into a file, and none of your own tables'.

    Example: vigilbase db dump vigilbase.dump
    """
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file}: is no file to write a dump into")
    run(_require_migrated(load_settings()))
    # Beside it first, so that a dump that fails leaves the one of yesterday as it is.
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        whole = Path(folder) / "dump"
        whole.touch(mode=0o600)  # it holds everything
        run(_whole("dumped", "pg_dump", *dump_arguments(whole)))
        whole.replace(file)
    out.print(f"dumped into {file}", markup=False)


@app.command()
def restore(
    file: DumpFile,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Replace all of Vigilbase's rows by those of a dump, and none of your own tables'.

    All in one transaction. The dump must be of the same build of Vigilbase, and no runner may be at work.

    Example: vigilbase db restore vigilbase.dump
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: {'is no file with a dump' if file.exists() else 'there is no such file'}")
    require_dump_of(file, discover())
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "restore.sql"
        write_restore_script(file, script)  # first, since a dump that is cut short shows only here
        _restore(load_settings(), script, yes=yes)
    out.print(f"restored from {file}", markup=False)


def _restore(settings: Settings, script: Path, *, yes: bool) -> None:
    if not yes:
        is_wanted_there(settings)
    rows = run(_count_rows(settings))
    for table, count in rows.items():
        if count:
            out.print(f"replace  {table} ({count:,} rows)", markup=False)
    if not yes and any(rows.values()):
        require_yes(
            "Replace these rows?", without_terminal="this replaces what is listed, for good: say --yes to do it"
        )
    run(_migrate(settings))
    quiet = ["--no-psqlrc", "--quiet", f"--output={os.devnull}"]
    run(_whole("restored", "psql", *quiet, "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={script}"))


async def _require_migrated(settings: Settings) -> None:
    async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
        if waiting := pending(discover(), await read_ledger(url, timeout=settings.timeout)):
            raise MigrationError(f"pending: {waiting[0].number:03}_{waiting[0].name}, …; {MIGRATE} before the dump")


async def _count_rows(settings: Settings) -> dict[str, int]:
    async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
        pending(discover(), await read_ledger(url, timeout=settings.timeout))
        return await count_rows(url, timeout=settings.timeout)


async def _migrate(settings: Settings) -> None:
    async with postgres_for_ddl(settings, WITHOUT_CONNECTION) as url:
        await apply_pending(url, discover(), timeout=settings.timeout)
        await repair(url, discover(), timeout=settings.timeout)


async def _url() -> str:
    async with postgres_for_ddl(load_settings(), WITHOUT_CONNECTION) as found:
        return found


async def _program(name: str, *arguments: str) -> int:
    """Run one of Postgres' programs on the database; return its exit code."""
    return (await _run_program(name, *arguments, stderr=None)).returncode


async def _whole(done: str, name: str, *arguments: str) -> None:
    """The same for one that has to go through; in one line why it didn't."""
    result = await _run_program(name, *arguments, stderr=subprocess.PIPE)
    if result.returncode:
        detail = re.search(r"^DETAIL: *(.*)$", result.stderr, re.MULTILINE)
        raise EmbeddedPostgresError(
            f"nothing was {done}: {reason_in(result.stderr)}{f' ({detail[1]})' if detail else ''}"
        )


async def _run_program(name: str, *arguments: str, stderr: int | None) -> "subprocess.CompletedProcess[str]":
    async with postgres_for_ddl(load_settings(), WITHOUT_CONNECTION) as found:
        environment = {**os.environ, **environment_of(found)}
        # Ctrl-C is the program's to handle; we wait for what it makes of it.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            command = [str(programs_folder() / name), *arguments]
            return subprocess.run(  # noqa: ASYNC221 (there is nothing else to do meanwhile)
                command, env=environment, check=False, preexec_fn=_default_interrupt, stderr=stderr, text=True
            )
        finally:
            signal.signal(signal.SIGINT, previous)


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="db")
