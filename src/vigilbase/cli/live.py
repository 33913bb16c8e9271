"""Keeps the live table of `vigilbase up` on the screen, and writes events above it."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOBase

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.text import Text

from vigilbase.logging import redirect_log

REDRAWS_PER_SECOND = 2


class _StreamAbove(TextIOBase):
    """A stream whose lines are printed above the table, unbroken: the terminal wraps them."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        if line := text.rstrip("\n"):
            self._console.print(Text(line), soft_wrap=True)
        return len(text)


@contextmanager
def show(console: Console, draw: Callable[[ConsoleDimensions], Group]) -> Iterator[Live]:
    """Keep what `draw(size)` returns on the screen. Events appear above it unless standard error is redirected."""
    # Rich would refresh from a thread of its own, while the event loop changes the rows.
    with Live(draw(console.size), console=console, auto_refresh=False) as live:
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            with redirect_log(_StreamAbove(console)):
                yield live
        else:
            yield live
        # The last table stays on the screen, so it must show the last checks.
        live.update(draw(console.size), refresh=True)


async def redraw_forever(live: Live, draw: Callable[[ConsoleDimensions], Group]) -> None:
    while True:
        live.update(draw(live.console.size), refresh=True)
        await asyncio.sleep(1 / REDRAWS_PER_SECOND)
