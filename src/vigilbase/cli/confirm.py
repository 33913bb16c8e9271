"""Asks before something is dropped for good, or created where it may not be wanted."""

import asyncio
import signal
import sys

import typer

from vigilbase.cli.output import print_line
from vigilbase.cli.session import run_command
from vigilbase.config.session import open_ddl_postgres
from vigilbase.database.host import Host, list_warnings, read_host_at
from vigilbase.database.urls import find_host
from vigilbase.errors import ConfigurationError
from vigilbase.settings import OWN_DATABASE_VARIABLE, Settings, choose_transport, find_database_variable


def require_yes(question: str, *, without_terminal: str) -> None:
    """Continue if the answer at the terminal is yes; a no ends the command with exit code 1.

    Raises:
        ConfigurationError: there is no terminal; `without_terminal` is the message.

    """
    if not sys.stdin.isatty():
        raise ConfigurationError(without_terminal)
    if not typer.confirm(question):
        print_line("Nothing was changed.")
        raise typer.Exit(1)


def confirm_host(settings: Settings) -> bool:
    """Ask before `up` creates tables in an application's database, to which DATABASE_URL may lead.

    False if the program is stopped before the database has answered; a no ends the command.

    Raises:
        ConfigurationError: there is no terminal to ask at.
        DatabaseError: the database can't be reached.

    """
    transport = choose_transport(settings)
    # The embedded server belongs to Vigilbase alone, and no tables can be created over the Data API.
    if transport.ddl_url is None:
        return True
    host = run_command(_read_host_unless_stopped(settings))
    if host is None:
        return False
    if host.has_ours or not host.other_tables or find_database_variable() == OWN_DATABASE_VARIABLE:
        return True
    place = find_host(transport.ddl_url.get_secret_value())
    tables = f"{host.other_tables:,} table{'s' if host.other_tables > 1 else ''}"
    finding = f"the database {host.database} at {place} has {tables} and none of Vigilbase's"
    require_yes(
        f"{finding}: create Vigilbase's tables there?",
        without_terminal=f"{finding}: run `vigilbase migrate` to create them there, or set {OWN_DATABASE_VARIABLE}",
    )
    return True


async def _read_host_unless_stopped(settings: Settings) -> Host | None:
    stop = asyncio.Event()
    # A database that hangs must not delay the end of the program.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    reading = asyncio.create_task(_read_host(settings))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({reading, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if stop.is_set():
        reading.cancel()
        await asyncio.wait({reading})
        return None
    return await reading


async def _read_host(settings: Settings) -> Host:
    async with open_ddl_postgres(settings) as url:
        return await warn_about_host(url, settings)


async def warn_about_host(url: str, settings: Settings) -> Host:
    """Print the database's shortcomings on standard error, and return its description."""
    host = await read_host_at(url, timeout=settings.timeout)
    for problem, advice in list_warnings(host):
        typer.echo(f"vigilbase: warning: {problem}: {advice}", err=True)
    return host
