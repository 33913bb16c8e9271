"""The live table of `vigilbase up`: what was seen, how it is judged, and how the last checks went."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vigilbase.alerts.judge import JudgedService
from vigilbase.alerts.wording import in_words
from vigilbase.cli.render import STYLES, ago, plain
from vigilbase.logging import log_to
from vigilbase.vocabulary import Check, Observation, Status

REDRAWS_A_SECOND = 4
CHECKS_SHOWN = 20
LONGEST_NAME = 32
LINES_BESIDE = 5  # the head, the foot, and room for an event
BARS: Mapping[Status, tuple[str, str]] = {"healthy": ("▂", "green"), "degraded": ("▅", "yellow"), "down": ("█", "red")}
WORST_FIRST: Mapping[Status, int] = {"down": 0, "degraded": 1, "healthy": 2}


class Row(NamedTuple):
    """What the table says about a service."""

    name: str
    judged: JudgedService
    checks: Sequence[Observation]


class Board:
    """The last checks of every service, as the runner makes them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._checks: Mapping[str, deque[Observation]] = {name: deque(maxlen=CHECKS_SHOWN) for name in names}

    def see(self, check: Check) -> None:
        """Take note of a check."""
        self._checks[check.service_name].append(check.observation)

    def rows(self, states: Mapping[str, JudgedService]) -> list[Row]:
        """Every service in the order of the file."""
        return [Row(name, states.get(name, JudgedService(name)), tuple(seen)) for name, seen in self._checks.items()]


def picture(rows: Sequence[Row], *, now: datetime, height: int, foot: str) -> Group:
    """The table and its foot. Where not all rows fit, those that aren't healthy come first and the rest is counted."""
    table = Table(box=None, header_style="bold", expand=True, pad_edge=False)
    table.add_column("service", no_wrap=True, overflow="ellipsis", max_width=LONGEST_NAME)
    table.add_column("status", no_wrap=True)
    table.add_column("latency", justify="right", no_wrap=True)
    table.add_column("checked", no_wrap=True)
    table.add_column("last checks", no_wrap=True, min_width=CHECKS_SHOWN)
    table.add_column("", ratio=1, no_wrap=True)
    fitting, hidden = _fitting(rows, max(1, height - LINES_BESIDE))
    for row in fitting:
        table.add_row(*_cells(row, now))
    rest = [Text(_counted(hidden), style="dim")] if hidden else []
    return Group(table, *rest, Text(), Text(foot, style="dim", no_wrap=True, overflow="ellipsis"))


def _fitting(rows: Sequence[Row], count: int) -> tuple[Sequence[Row], Sequence[Row]]:
    if len(rows) <= count:
        return rows, ()
    ordered = sorted(rows, key=lambda row: WORST_FIRST[_worse(row)])
    return ordered[: count - 1], ordered[count - 1 :]


def _worse(row: Row) -> Status:
    """The worse of what is judged and what was seen last."""
    seen: Status = row.checks[-1].status if row.checks else "healthy"
    return min(seen, row.judged.judged, key=lambda status: WORST_FIRST[status])


def _cells(row: Row, now: datetime) -> Sequence[Text | str]:
    name = plain(row.name)
    if not row.checks:
        return name, Text("…", style="dim"), "", "", "", ""
    last = row.checks[-1]
    bars = [BARS[check.status] for check in row.checks]
    checked = ago(last.checked_at, now)
    return name, STYLES[row.judged.judged], f"{last.latency_ms} ms", checked, Text.assemble(*bars), _remark(row, now)


def _remark(row: Row, now: datetime) -> Text:
    """What is wrong, and for how long it has been."""
    error = plain(row.checks[-1].error_message)
    if row.judged.since is None:
        return error
    lasting = Text(f"for {in_words(max(now - row.judged.since, now - now))}")
    return Text(": ").join([lasting, error]) if error else lasting


def _counted(rows: Sequence[Row]) -> str:
    by_status = {status: sum(_worse(row) == status for row in rows) for status in WORST_FIRST}
    return "… and " + ", ".join(f"{count} more {status}" for status, count in by_status.items() if count)


@contextmanager
def shown(console: Console, draw: Callable[[int], Group]) -> Iterator[Live]:
    """Keep what `draw(height)` makes on the screen; events are written above it, unless they go somewhere else."""
    with Live(draw(console.height), console=console, auto_refresh=False) as live:
        if console.file.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty():
            with log_to(sys.stderr):  # while it lives, this is a way through the display
                yield live
        else:
            yield live
        live.update(draw(console.height), refresh=True)


async def redraw(live: Live, draw: Callable[[int], Group]) -> None:
    """Draw again and again, for ever."""
    while True:
        live.update(draw(live.console.height), refresh=True)
        await asyncio.sleep(1 / REDRAWS_A_SECOND)
