"""`vigilbase db url|psql|dump|restore`: Postgres' own programs, from the wheel, on the configured database."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.cli.context import out, postgres_for_ddl, run
from vigilbase.database.programs import programs_folder
from vigilbase.database.urls import environment_of, masked
from vigilbase.errors import ConfigurationError, EmbeddedPostgresError
from vigilbase.settings import load_settings

app = typer.Typer(help="Reach the database with Postgres' own programs.", no_args_is_help=True)

DumpFile = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The dump, in pg_dump's custom format.")]


HEAD_OF_DUMP_BYTES = 2000
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
    """Write the whole database into a file.

    Example: vigilbase db dump vigilbase.dump
    """
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file}: is no file to write a dump into")
    # Beside it first, so that a dump that fails leaves the one of yesterday as it is.
    with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
        whole = Path(folder) / "dump"
        whole.touch(mode=0o600)  # it holds everything
        code = run(_program("pg_dump", "--format=custom", "--no-owner", f"--file={whole}"))
        if code:
            raise EmbeddedPostgresError(f"nothing was dumped: pg_dump ended with exit code {code}")
        whole.replace(file)
    out.print(f"dumped into {file}", markup=False)


@app.command()
def restore(file: DumpFile) -> None:
    """Bring a dump back into the database.

    All in one transaction; tables of the same names are replaced.

    Example: vigilbase db restore vigilbase.dump
    """
    if not file.is_file():
        raise ConfigurationError(f"{file}: {'is no file with a dump' if file.exists() else 'there is no such file'}")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "restore.sql"
        _write_restore_script(file, script)
        quiet = ["--no-psqlrc", "--quiet", f"--output={os.devnull}"]
        code = run(_program("psql", *quiet, "--set=ON_ERROR_STOP=1", "--single-transaction", f"--file={script}"))
    if code:
        raise EmbeddedPostgresError(f"nothing was restored: psql ended with exit code {code}")
    out.print(f"restored from {file}", markup=False)


def _write_restore_script(dump: Path, script: Path) -> None:
    """A dump as SQL. Its head sets what only Postgres 17 and newer know; older ones would refuse the whole."""
    whole = script.with_suffix(".whole")
    options = ["--clean", "--if-exists", "--no-owner", f"--file={whole}"]
    command = [str(programs_folder() / "pg_restore"), *options, str(dump)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().removeprefix("pg_restore: error: ")
        is_none = "input file" in said  # it has several ways to say so, each of a format that it tried
        raise ConfigurationError(f"{dump}: {'is no dump of `vigilbase db dump`' if is_none else said}")
    with whole.open("rb") as given, script.open("wb") as taken:
        taken.write(given.read(HEAD_OF_DUMP_BYTES).replace(b"SET transaction_timeout = 0;\n", b""))
        shutil.copyfileobj(given, taken)


async def _url() -> str:
    async with postgres_for_ddl(load_settings(), WITHOUT_CONNECTION) as found:
        return found


async def _program(name: str, *arguments: str) -> int:
    """Run one of Postgres' programs on the database; return its exit code."""
    async with postgres_for_ddl(load_settings(), WITHOUT_CONNECTION) as found:
        environment = {**os.environ, **environment_of(found)}
        # Ctrl-C is the program's to handle; we wait for what it makes of it.
        previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            command = [str(programs_folder() / name), *arguments]
            return subprocess.run(  # noqa: ASYNC221 (there is nothing else to do meanwhile)
                command, env=environment, check=False, preexec_fn=_default_interrupt
            ).returncode
        finally:
            signal.signal(signal.SIGINT, previous)


def _default_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def register(parent: typer.Typer) -> None:
    """Add the commands of this file."""
    parent.add_typer(app, name="db")
