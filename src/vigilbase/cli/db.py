"""`vigilbase db url|psql|dump|restore`: Postgres' own programs on the configured database."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vigilbase.errors import ConfigurationError

app = typer.Typer(help="Open, dump and restore the database.", no_args_is_help=True)

DumpFile = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The dump, in pg_dump's custom format.")]


@app.command()
def url() -> None:
    """Print the database's URL, with its password redacted.

    The embedded server has no password: it listens on a socket, and runs while a vigilbase command runs.

    Example: vigilbase db url
    """
    from vigilbase.cli.db_actions import print_url

    print_url()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """Open psql on the database. Further arguments go to psql.

    Example: vigilbase db psql -c "SELECT * FROM alert_events"
    """
    from vigilbase.cli.db_actions import run_psql

    sys.exit(run_psql(context.args))


@app.command()
def dump(file: DumpFile) -> None:
    """Write the rows of Vigilbase's tables, and of no other table, to a file.

    Example: vigilbase db dump vigilbase.dump
    """
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file}: is not a regular file, so no dump can be written to it")
    from vigilbase.cli.db_actions import dump_to

    dump_to(file)


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
    from vigilbase.cli.db_actions import restore_from

    restore_from(file, yes=yes)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="db")
