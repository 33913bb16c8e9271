"""Tables and texts for a terminal. Whatever came from outside is text, never markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from vigilbase.domain import Status

GAP = 2
MIN_WRAPPED_WIDTH = 12

STATUS_TEXTS: Mapping[Status, Text] = {
    "healthy": Text("healthy", style="green"),
    "degraded": Text("degraded", style="yellow"),
    "down": Text("down", style="bold red"),
}

Cell: TypeAlias = Text | str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    When the terminal is too narrow, the columns with the highest `drop` go first; those with 0 stay. A column that
    `wraps` gets narrower and breaks between words; the others never break, so that names can be copied.
    """

    heading: str
    drop: int = 0
    wraps: bool = False
    is_number: bool = False


def escape(text: str | None) -> Text:
    """A text that a service or a user chose, with control characters shown instead of obeyed."""
    # Bidi overrides and invisible characters aren't printable either, so a name can't pose as another.
    return Text("".join(character if character.isprintable() else repr(character)[1:-1] for character in text or ""))


def make_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], width: int) -> Table:
    """A table that fits `width` characters as far as its names allow."""
    widths = [_measure(column, [row[index] for row in rows]) for index, column in enumerate(columns)]
    kept = _choose_columns(columns, widths, width)
    table = Table(box=None, header_style="bold", padding=(0, GAP, 0, 0), pad_edge=False)
    for index in kept:
        column = columns[index]
        table.add_column(
            column.heading,
            justify="right" if column.is_number else "left",
            no_wrap=not column.wraps,
            # An ellipsis would hide the part of a name or id that you need to copy.
            overflow="fold",
            # Where wrapping isn't enough, Rich narrows the other columns, too; a minimum keeps their names whole.
            min_width=None if column.wraps else widths[index],
        )
    for row in rows:
        cells = (row[index] for index in kept)
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))  # in a str, Rich obeys markup
    return table


def _measure(column: Column, cells: Sequence[Cell]) -> int:
    lines = [line for cell in cells for line in (cell.plain if isinstance(cell, Text) else cell).splitlines()]
    # len() would be wrong: CJK characters and emoji take two columns.
    return max(map(cell_len, [column.heading, *lines]))


def _choose_columns(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The columns that fit, by index. A column that wraps needs only a part of its width."""
    kept = list(range(len(columns)))

    def measure_needed() -> int:
        least = [min(widths[index], MIN_WRAPPED_WIDTH) if columns[index].wraps else widths[index] for index in kept]
        return sum(least) + GAP * (len(kept) - 1)

    while measure_needed() > width and (droppable := [index for index in kept if columns[index].drop]):
        kept.remove(max(droppable, key=lambda index: columns[index].drop))
    return kept
