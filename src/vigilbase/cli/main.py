"""The program `vigilbase`."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

import typer

from vigilbase import __version__
from vigilbase.cli.asked import allow_named_shell, asked_command
from vigilbase.errors import VigilbaseError
from vigilbase.logging import configure_logging, quiet_models
from vigilbase.settings import load_settings

# Which file of this folder has a command, in the order of the help.
COMMANDS = {
    "up": "watch",
    "run": "watch",
    "check": "watch",
    "status": "status",
    "history": "history",
    "alerts": "alerts",
    "silence": "silences",
    "maintenance": "maintenance",
    "channels": "channels",
    "deliveries": "deliveries",
    "doctor": "doctor",
    "migrate": "migrate",
    "schema": "schema",
    "db": "database",
}


def make_app(command: str | None = None) -> typer.Typer:
    """The command line, whole; or with one command alone, since what the others import takes half a second."""
    app = typer.Typer(
        help="Service-health monitoring that lives in your own Postgres or Supabase project.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_prepare)
    if command in COMMANDS:
        files = [COMMANDS[command]]
    else:
        files = [] if command in ("version", "--version") else list(dict.fromkeys(COMMANDS.values()))
    for name in files:
        import_module(f"vigilbase.cli.{name}").register(app)
    app.command()(version)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


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
        sys.exit(make_app(asked_command(sys.argv[1:]))(standalone_mode=False))
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
