"""The live table of `vigilbase up`: what was seen, how it is judged, and how the last checks went."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import TextIOBase
from typing import Literal, NamedTuple

from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from vigilbase.alerts.judge import JudgedService
from vigilbase.alerts.wording import in_words
from vigilbase.cli.render import STYLES, ago, plain
from vigilbase.logging import log_to
from vigilbase.vocabulary import Check, Observation, Status

REDRAWS_A_SECOND = 2
CHECKS_SHOWN = 20
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


def picture(rows: Sequence[Row], *, now: datetime, size: ConsoleDimensions, foot: str) -> Group:
    """The table and its foot. Where not all rows fit, those that aren't healthy come first and the rest is counted.

    In a narrow terminal there is room for less beside the status and what is wrong.
    """
    shown = [column for column in _COLUMNS if size.width >= column.from_width]
    table = Table(box=None, header_style="bold", expand=True, pad_edge=False)
    for column in shown:
        table.add_column(
            column.heading,
            no_wrap=True,
            overflow="ellipsis",
            justify=column.justify,
            min_width=column.width,
            ratio=1 if column.stretches else None,
            max_width=max(8, size.width // 3) if column.heading == "service" else None,
        )
    fitting, hidden = _fitting(rows, max(1, size.height - LINES_BESIDE))
    for row in fitting:
        table.add_row(*(column.cell(row, now) for column in shown))
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


def _remark(row: Row, now: datetime) -> Text:
    """What is wrong, and for how long it has been."""
    if not row.checks:
        return Text()
    error = plain(row.checks[-1].error_message)
    if row.judged.since is None:
        return error
    lasting = Text(f"for {in_words(max(now - row.judged.since, now - now))}")
    return Text(": ").join([lasting, error]) if error else lasting


class _Column(NamedTuple):
    """A column: what a cell of it says, how wide it is at least, and from which width of the terminal it is shown."""

    heading: str
    cell: Callable[[Row, datetime], Text | str]
    width: int | None = None
    from_width: int = 0
    justify: Literal["left", "right"] = "left"
    stretches: bool = False


_COLUMNS = (
    _Column("service", lambda row, _: plain(row.name)),
    _Column("status", lambda row, _: STYLES[row.judged.judged] if row.checks else Text("…", style="dim"), width=8),
    _Column(
        "latency",
        lambda row, _: f"{row.checks[-1].latency_ms} ms" if row.checks else "",
        width=7,
        from_width=60,
        justify="right",
    ),
    _Column(
        "checked", lambda row, now: ago(row.checks[-1].checked_at, now) if row.checks else "", width=8, from_width=70
    ),
    _Column(
        "last checks",
        lambda row, _: Text.assemble(*(BARS[check.status] for check in row.checks)),
        width=CHECKS_SHOWN,
        from_width=96,
    ),
    _Column("", _remark, stretches=True),
)


def _counted(rows: Sequence[Row]) -> str:
    by_status = {status: sum(_worse(row) == status for row in rows) for status in WORST_FIRST}
    return "… and " + ", ".join(f"{count} more {status}" for status, count in by_status.items() if count)


class _Above(TextIOBase):
    """A stream whose lines are printed above the table, whole: the terminal wraps them."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        if line := text.rstrip("\n"):
            self._console.print(Text(line), soft_wrap=True)
        return len(text)


@contextmanager
def shown(console: Console, draw: Callable[[ConsoleDimensions], Group]) -> Iterator[Live]:
    """Keep what `draw(size)` makes on the screen; events are written above it, unless they go somewhere else."""
    with Live(draw(console.size), console=console, auto_refresh=False) as live:
        if sys.__stderr__ is not None and sys.__stderr__.isatty():
            with log_to(_Above(console)):
                yield live
        else:
            yield live
        live.update(draw(console.size), refresh=True)


async def redraw(live: Live, draw: Callable[[ConsoleDimensions], Group]) -> None:
    """Draw again and again, for ever."""
    while True:
        live.update(draw(live.console.size), refresh=True)
        await asyncio.sleep(1 / REDRAWS_A_SECOND)
