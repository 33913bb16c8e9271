"""Runs the runner until a signal stops it, with or without a live table."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from rich.console import Console, ConsoleDimensions, Group

from vigilbase.cli.live import redraw_forever, show
from vigilbase.clock import utc_now
from vigilbase.config.session import open_database
from vigilbase.configfile import Config
from vigilbase.runner.runner import Runner
from vigilbase.settings import Transport, choose_transport, load_settings
from vigilbase.views.live_table import Board, render_board

MIN_BUFFERED_SHOWN = 200  # fewer are always on their way


async def monitor(config: Config, *, migrate: bool, screen: Console | None) -> None:
    """Probe the services of the file until SIGINT, SIGTERM or SIGHUP; `screen` gets a live table.

    Raises:
        VigilbaseError: the database can't be used.

    """
    stop = asyncio.Event()
    # SIGHUP arrives when the terminal is closed.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings = load_settings()
    transport = choose_transport(settings)
    async with AsyncExitStack() as stack:
        if not await _open_unless_stopped(stack, open_database(settings, migrate=migrate), stop):
            return
        if screen is None:
            await Runner(config).run(stop)
        else:
            await _watch_live(config, stop, screen, transport)


async def _open_unless_stopped(
    stack: AsyncExitStack, opening: AbstractAsyncContextManager[None], stop: asyncio.Event
) -> bool:
    """Open the database; False if `stop` is set meanwhile, for example because the database hangs."""
    opened = asyncio.create_task(stack.enter_async_context(opening))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({opened, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not opened.done():
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
