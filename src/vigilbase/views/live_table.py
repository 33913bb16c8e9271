"""The live table of `vigilbase up`: the current status of every service, and how its last checks went."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from rich.console import ConsoleDimensions, Group
from rich.table import Table
from rich.text import Text

from vigilbase.alerts.judge import ServiceState
from vigilbase.domain import Check, ProbeResult, Status
from vigilbase.durations import format_duration
from vigilbase.times import format_ago
from vigilbase.views.terminal import STATUS_TEXTS, Cell, escape

MAX_BARS = 20
RESERVED_LINES = 5  # the heading, the footer, and room for an event
BARS: Mapping[Status, tuple[str, str]] = {"healthy": ("▂", "green"), "degraded": ("▅", "yellow"), "down": ("█", "red")}
SEVERITY: Mapping[Status, int] = {"down": 0, "degraded": 1, "healthy": 2}  # the worst first


class Row(NamedTuple):
    """A service, its state, and its last results, oldest first."""

    name: str
    state: ServiceState
    results: Sequence[ProbeResult]


class Board:
    """The last results of every service, as the runner reports them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._results: Mapping[str, deque[ProbeResult]] = {name: deque(maxlen=MAX_BARS) for name in names}

    def add(self, check: Check) -> None:
        self._results[check.service_name].append(check.result)

    def make_rows(self, states: Mapping[str, ServiceState]) -> list[Row]:
        """Every service in the order of the file."""
        return [
            Row(name, states.get(name, ServiceState(name)), tuple(results)) for name, results in self._results.items()
        ]


def render_board(rows: Sequence[Row], *, now: datetime, size: ConsoleDimensions, footer: str) -> Group:
    """The table and its footer. If not all rows fit, services that aren't healthy come first and the rest is counted.

    A narrow terminal shows fewer columns.
    """
    columns = [column for column in _COLUMNS if size.width >= column.from_width]
    table = Table(box=None, header_style="bold", expand=True, pad_edge=False)
    for column in columns:
        table.add_column(
            column.heading,
            no_wrap=True,
            overflow="ellipsis",
            justify=column.justify,
            min_width=column.width,
            ratio=1 if column.stretches else None,
            max_width=max(8, size.width // 3) if column.heading == "service" else None,
        )
    shown, hidden = _choose_rows(rows, max(1, size.height - RESERVED_LINES))
    for row in shown:
        table.add_row(*(column.make_cell(row, now) for column in columns))
    rest = [Text(_count_hidden(hidden), style="dim")] if hidden else []
    return Group(table, *rest, Text(), Text(footer, style="dim", no_wrap=True, overflow="ellipsis"))


def _choose_rows(rows: Sequence[Row], count: int) -> tuple[Sequence[Row], Sequence[Row]]:
    if len(rows) <= count:
        return rows, ()
    # A stable sort: services of the same status keep the order of the file.
    ordered = sorted(rows, key=lambda row: SEVERITY[_find_worst_status(row)])
    # One line is for the count of the hidden ones.
    return ordered[: count - 1], ordered[count - 1 :]


def _find_worst_status(row: Row) -> Status:
    """The worse of the current status and the last result."""
    last: Status = row.results[-1].status if row.results else "healthy"
    return min(last, row.state.status, key=lambda status: SEVERITY[status])


def _describe_problem(row: Row, now: datetime) -> Text:
    """The last error, and for how long the service has not been healthy."""
    if not row.results:
        return Text()
    error = escape(row.results[-1].error_message)
    if row.state.since is None:
        return error
    # `since` follows the database's clock, which may be ahead of this machine's.
    length = Text(f"for {format_duration(max(now - row.state.since, timedelta(0)))}")
    return Text(": ").join([length, error]) if error else length


class _Column(NamedTuple):
    """A column: its cells, its least width, and the terminal width from which it is shown."""

    heading: str
    make_cell: Callable[[Row, datetime], Cell]
    width: int | None = None
    from_width: int = 0
    justify: Literal["left", "right"] = "left"
    stretches: bool = False


_COLUMNS = (
    _Column("service", lambda row, _: escape(row.name)),
    _Column("status", lambda row, _: STATUS_TEXTS[row.state.status] if row.results else Text("…", style="dim"), 8),
    _Column(
        "latency",
        lambda row, _: f"{row.results[-1].latency_ms} ms" if row.results else "",
        width=7,
        from_width=60,
        justify="right",
    ),
    _Column(
        "checked", lambda row, now: format_ago(row.results[-1].checked_at, now) if row.results else "", 8, from_width=70
    ),
    _Column(
        "last checks",
        lambda row, _: Text.assemble(*(BARS[result.status] for result in row.results)),
        width=MAX_BARS,
        from_width=96,
    ),
    _Column("", _describe_problem, stretches=True),
)


def _count_hidden(rows: Sequence[Row]) -> str:
    counts = {status: sum(_find_worst_status(row) == status for row in rows) for status in SEVERITY}
    return "… and " + ", ".join(f"{count} more {status}" for status, count in counts.items() if count)
