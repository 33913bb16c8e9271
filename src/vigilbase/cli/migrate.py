"""`vigilbase migrate`."""

from pathlib import Path
from typing import Annotated

import typer

from vigilbase.errors import ConfigurationError


def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only list what is pending or missing; exit code 1 if anything is.")
    ] = False,
    print_sql: Annotated[bool, typer.Option("--print", help="Print the SQL, for a SQL editor or psql.")] = False,
    supabase: Annotated[
        Path | None,
        typer.Option("--supabase", metavar="DIR", help="Write the files to a Supabase project's supabase/migrations/."),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Replace everything that an earlier build created except service_health_checks and alert_events; "
            "with --supabase, replace its files.",
        ),
    ] = False,
    drop_all: Annotated[
        bool,
        typer.Option(
            "--remove", help="Drop everything that Vigilbase created except service_health_checks and alert_events."
        ),
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="With --remove: drop these two tables as well.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --rebuild or --remove: don't ask.")] = False,
) -> None:
    """Bring the database's schema up to date.

    Applies pending migrations in order, each file in one transaction, and recreates missing objects.

    Example: vigilbase migrate --check
    """
    _require_one_action(check + print_sql + (supabase is not None or from_scratch) + drop_all)
    if history and not drop_all:
        raise ConfigurationError("--history needs --remove")
    from vigilbase.cli import migrate_actions as actions
    from vigilbase.settings import load_settings

    if print_sql:
        actions.print_script()
    elif supabase is not None:
        actions.write_files(supabase, replace=from_scratch)
    elif check:
        actions.check_schema(load_settings())
    elif drop_all:
        actions.remove_schema(load_settings(), history=history, yes=yes)
    elif from_scratch:
        actions.rebuild_schema(load_settings(), yes=yes)
    else:
        actions.apply_migrations(load_settings())


def _require_one_action(count: int) -> None:
    if count > 1:
        raise ConfigurationError(
            "choose one of --check, --print, --supabase, --rebuild and --remove; only --supabase and --rebuild go "
            "together"
        )


def register(app: typer.Typer) -> None:
    app.command()(migrate)
