"""Asking before something goes for good, or is made where it may not be wanted."""

import asyncio
import signal
import sys

import typer

from vigilbase.cli.context import out, postgres_for_ddl, run, warn_of_host
from vigilbase.database.host import Host
from vigilbase.database.urls import place_of
from vigilbase.errors import ConfigurationError
from vigilbase.settings import OWN_DATABASE_VARIABLE, Settings, chosen_transport, database_variable


def require_yes(question: str, *, without_terminal: str) -> None:
    """Go on only where somebody at a terminal says yes; a no ends the command with exit code 1.

    Raises:
        ConfigurationError: there is no terminal to ask at; it says `without_terminal`.

    """
    if not sys.stdin.isatty():
        raise ConfigurationError(without_terminal)
    if not typer.confirm(question):
        out.print("Nothing was changed.")
        raise typer.Exit(1)


def is_wanted_there(settings: Settings) -> bool:
    """Ask where DATABASE_URL, which may be the application's, leads to a database with tables and none of ours.

    False if the program is told to stop before the database has answered; a no ends the command.

    Raises:
        ConfigurationError: there is no terminal to ask at.
        DatabaseError: the database can't be reached.

    """
    if settings.database_url is None or chosen_transport(settings) == "embedded":
        return True
    host = run(_look_unless_stopped(settings))
    if host is None:
        return False
    if host.has_ours or not host.other_tables or database_variable() == OWN_DATABASE_VARIABLE:
        return True
    place = place_of(settings.database_url.get_secret_value())
    tables = f"{host.other_tables:,} table{'s' if host.other_tables > 1 else ''}"
    found = f"the database {host.database} at {place} holds {tables} and none of Vigilbase's"
    require_yes(
        f"{found}: create them there?",
        without_terminal=f"{found}: run `vigilbase migrate` if they belong there, or set {OWN_DATABASE_VARIABLE}",
    )
    return True


async def _look_unless_stopped(settings: Settings) -> Host | None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    looking = asyncio.create_task(_look(settings))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({looking, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        looking.cancel()
        await asyncio.wait({looking})
        return None
    return await looking


async def _look(settings: Settings) -> Host:
    async with postgres_for_ddl(settings) as url:
        return await warn_of_host(url, settings)
