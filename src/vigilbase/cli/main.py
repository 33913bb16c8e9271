"""The program `vigilbase`."""

import os
import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from vigilbase import __version__
from vigilbase.cli import (
    alerts,
    channels,
    database,
    deliveries,
    doctor,
    history,
    maintenance,
    migrate,
    schema,
    silences,
    status,
    watch,
)
from vigilbase.cli.completion import allow_named_shell
from vigilbase.errors import VigilbaseError
from vigilbase.logging import configure_logging, quiet_models
from vigilbase.settings import load_settings

app = typer.Typer(
    help="Service-health monitoring that lives in your own Postgres or Supabase project.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)
watch.register(app)
status.register(app)
history.register(app)
app.add_typer(alerts.app, name="alerts")
app.add_typer(silences.app, name="silence")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(channels.app, name="channels")
app.add_typer(deliveries.app, name="deliveries")
doctor.register(app)
migrate.register(app)
schema.register(app)
app.add_typer(database.app, name="db")


def _tell_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _prepare(
    context: typer.Context,
    *,
    tell_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    default = "INFO" if context.invoked_subcommand in ("up", "run") else "WARNING"
    # What is wrong with the settings, the doctor says itself.
    chosen = None if context.invoked_subcommand == "doctor" else load_settings().log_level
    configure_logging(chosen or default)
    quiet_models()


@app.command()
def version() -> None:
    """Print the version.

    Example: vigilbase version
    """
    typer.echo(__version__)


def _replace_closed_streams() -> None:
    """Open what whoever started us has closed (`>&-`), where Python has None: nobody listens, but we may write.

    In this order each gets its own file descriptor, so that no connection gets it, here or in a program we start.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (open to the end)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


# Typer comes with a Click of its own or uses the installed one, by its version; this is the class of either.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


def _tell_usage(error: BaseException) -> None:
    """A command line that can't be understood, in one line; without a command, the help."""
    said = str(getattr(error, "format_message", error.__str__)()).strip()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "vigilbase"
    if "\n" in said:
        typer.echo(said, err=True)
    else:
        more = "" if said.endswith("?") else f"; see `{command} --help`"
        typer.echo(f"vigilbase: {said[:1].lower()}{said[1:].rstrip('.')}{more}", err=True)


def main() -> None:
    """Run the command line. What a user can mend ends with one line and exit code 2, never with a traceback."""
    _replace_closed_streams()
    allow_named_shell(sys.argv[1:])
    try:
        sys.exit(app(standalone_mode=False))
    except _UsageError as error:
        _tell_usage(error)
        sys.exit(2)
    except VigilbaseError as error:
        typer.echo(f"vigilbase: {error}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing is left to be flushed into it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        typer.echo(f"vigilbase: {error.filename or 'the output'}: {error.strerror or error}", err=True)
        sys.exit(2)
