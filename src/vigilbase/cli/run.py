"""`vigilbase up` and `vigilbase run`."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import typer
from rich.console import Console, ConsoleDimensions, Group

from vigilbase.cli.confirm import confirm_host
from vigilbase.cli.live import redraw_forever, show
from vigilbase.cli.options import ConfigFile
from vigilbase.cli.session import run_command
from vigilbase.clock import utc_now
from vigilbase.config.session import open_database
from vigilbase.configfile import STARTER, Config, load_config
from vigilbase.errors import ConfigurationError
from vigilbase.files import DEFAULT_CONFIG
from vigilbase.logging import get_logger
from vigilbase.runner.runner import Runner
from vigilbase.settings import Transport, choose_transport, load_settings
from vigilbase.views.live_table import Board, render_board

log = get_logger(__name__)

MIN_BUFFERED_SHOWN = 200  # fewer are always on their way


def up(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Set up the database and monitor your services.

    Starts the embedded Postgres if you configured no database, applies migrations, then probes your services on
    schedule, records the checks, and opens and resolves alerts. Stop it with Ctrl-C.

    Creates a vigilbase.yaml if there is none. Asks before it creates tables in a DATABASE_URL database that has other
    tables and none of Vigilbase's. Shows a live table in a terminal, and a line for each event elsewhere.

    Example: vigilbase up --config vigilbase.yaml
    """
    if not _exists(config):
        _write_starter(config)
    screen = Console()
    # A dumb terminal can't move the cursor, so it gets a line for each event.
    is_live = screen.is_terminal and not screen.is_dumb_terminal
    loaded = load_config(config)
    if confirm_host(load_settings()):
        run_command(_monitor(loaded, migrate=True, screen=screen if is_live else None))


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Monitor your services; set nothing up.

    For containers and system services.

    The database must exist and be migrated. Prints a line for each event.

    Example: vigilbase run --config /etc/vigilbase.yaml
    """
    run_command(_monitor(load_config(config), migrate=False, screen=None))


async def _monitor(config: Config, *, migrate: bool, screen: Console | None) -> None:
    stop = asyncio.Event()
    # SIGHUP arrives when the terminal is closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = load_settings()
    transport = choose_transport(settings)
    async with AsyncExitStack() as stack:
        if not await _open_unless_stopped(stack, open_database(settings, migrate=migrate), stop, transport):
            return
        if screen is None:
            await Runner(config).run(stop)
        else:
            await _watch_live(config, stop, screen, transport)


async def _open_unless_stopped(
    stack: AsyncExitStack, opening: AbstractAsyncContextManager[None], stop: asyncio.Event, transport: Transport
) -> bool:
    """Open the database; False if `stop` is set meanwhile, for example because the database hangs."""
    opened = asyncio.create_task(stack.enter_async_context(opening))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not opened.done() and not transport.has_own_server:  # a server that is starting can't be left halfway
        opened.cancel()
        await asyncio.wait({opened})
        return False
    await opened
    return not stop.is_set()


async def _watch_live(config: Config, stop: asyncio.Event, screen: Console, transport: Transport) -> None:
    board = Board([service.name for service in config.services])
    runner = Runner(config, on_check=board.add)

    def draw(size: ConsoleDimensions) -> Group:
        footer = f"services: {len(config.services):,} · recorded: {runner.recorded:,} · {transport.name} · Ctrl-C stops"
        if runner.unwritten > MIN_BUFFERED_SHOWN:
            footer = f"waiting for the database: {runner.unwritten:,} · {footer}"
        return render_board(board.make_rows(runner.states), now=utc_now(), size=size, footer=footer)

    with show(screen, draw) as live:
        drawing = asyncio.create_task(redraw_forever(live, draw))
        try:
            await runner.run(stop)
        finally:
            drawing.cancel()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a closed folder or a name that is too long: reading it gives the better message
        return True


def _write_starter(path: Path) -> None:
    # A new vigilbase.yaml would silently take the place of a file with the other extension.
    if (other := path.with_suffix(".yml")).is_file() and path == DEFAULT_CONFIG:
        raise ConfigurationError(f"there is no {path}, but a {other}: rename it, or use `--config {other}`")
    try:
        path.write_text(STARTER, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: does not exist and can't be written: {error.strerror}") from error
    log.info("config.created", file=str(path))


def register(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(run)
