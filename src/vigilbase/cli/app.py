"""The command line: its commands, and how errors and exit codes leave it."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn, cast

import typer

from vigilbase.cli.lazy_commands import LazyGroup, add_placeholders, allow_shell_name
from vigilbase.errors import VigilbaseError

EXIT_BROKEN_PIPE = 128 + 13  # as a shell reports a program that SIGPIPE ended


def make_app() -> typer.Typer:
    """The whole command line. A command's module is imported when the command is run or completed."""
    app = typer.Typer(
        cls=LazyGroup,
        help="Service-health monitoring that lives in your own Postgres or Supabase project.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_configure)
    add_placeholders(app)
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
    from vigilbase.logging import configure_logging, mute_models
    from vigilbase.settings import load_settings

    default = "INFO" if context.invoked_subcommand in ("up", "run") else "WARNING"
    # The doctor reports wrong settings itself.
    level = None if context.invoked_subcommand == "doctor" else load_settings().log_level
    configure_logging(level or default)
    mute_models()


def version() -> None:
    """Print the version.

    Example: vigilbase version
    """
    from vigilbase import __version__

    typer.echo(__version__)


# Depending on its version, Typer has a Click of its own or uses the installed one; this is the class of either.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


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


def run_program(arguments: Sequence[str]) -> NoReturn:
    """Run a command line, and exit with its code: 0 to 2, or as a shell reports a signal."""
    allow_shell_name(arguments)
    try:
        # In standalone mode, Click would print errors in its own words and end the program itself.
        code = make_app()(arguments, standalone_mode=False)
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
