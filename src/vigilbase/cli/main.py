"""The program `vigilbase`."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, cast

import typer

from vigilbase import __version__
from vigilbase.cli.lazy_commands import allow_shell_name, find_command, list_modules
from vigilbase.errors import VigilbaseError
from vigilbase.logging import configure_logging, mute_models
from vigilbase.settings import load_settings

EXIT_BROKEN_PIPE = 128 + 13  # as a shell reports a program that SIGPIPE ended


def make_app(command: str | None = None) -> typer.Typer:
    """The whole command line, or one command alone, which starts faster."""
    app = typer.Typer(
        help="Service-health monitoring that lives in your own Postgres or Supabase project.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_configure)
    for name in list_modules(command):
        import_module(f"vigilbase.cli.{name}").register(app)
    app.command()(version)
    return app


def _print_version(is_asked: bool) -> None:
    if is_asked:
        version()
        raise typer.Exit


def _configure(
    context: typer.Context,
    *,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    default = "INFO" if context.invoked_subcommand in ("up", "run") else "WARNING"
    # The doctor reports wrong settings itself.
    level = None if context.invoked_subcommand == "doctor" else load_settings().log_level
    configure_logging(level or default)
    mute_models()


def version() -> None:
    """Print the version.

    Example: vigilbase version
    """
    typer.echo(__version__)


def _replace_closed_streams() -> None:
    """Open the standard streams that our parent closed (`>&-`), which Python represents as None.

    In this order each gets its own file descriptor, which otherwise a connection would get, here or in a child process.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 (open until the program ends)
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


# Depending on its version, Typer has a Click of its own or uses the installed one; this is the class of either.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


def _escape_unencodable() -> None:
    """Print an escape for a character that the output's encoding lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_usage_error(error: BaseException) -> None:
    """One line for a wrong command line; the help where the command is missing."""
    message = str(getattr(error, "format_message", error.__str__)()).strip()
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "vigilbase"
    if "\n" in message:
        typer.echo(message, err=True)
    else:
        hint = "" if message.endswith("?") else f"; see `{command} --help`"
        typer.echo(f"vigilbase: {message[:1].lower()}{message[1:].rstrip('.')}{hint}", err=True)


def main() -> None:
    """Run the command line. An error that a user can fix is one line and exit code 2, never a traceback."""
    # First, before anything opens a file or a connection that would get one of their descriptors.
    _replace_closed_streams()
    _escape_unencodable()
    allow_shell_name(sys.argv[1:])
    try:
        # In standalone mode, Click would print errors in its own words and end the program itself.
        code = make_app(find_command(sys.argv[1:]))(standalone_mode=False)
        # At exit, Python would report a closed pipe or a full disk itself, with an exit code of its own.
        sys.stdout.flush()
        sys.exit(code)
    except _UsageError as error:
        _print_usage_error(error)
        sys.exit(2)
    except VigilbaseError as error:
        typer.echo(f"vigilbase: {error}", err=True)
        sys.exit(2)
    except SystemExit as error:
        # For a closed pipe, Rich and Click exit with 1, which would mean that a service is down.
        sys.exit(EXIT_BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else error.code)
    except (KeyboardInterrupt, typer.Abort):
        # 128 + SIGINT, as shells report it.
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has closed it, so nothing may be flushed into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    except OSError as error:
        typer.echo(f"vigilbase: {error.filename or 'the output'}: {error.strerror or error}", err=True)
        sys.exit(2)
