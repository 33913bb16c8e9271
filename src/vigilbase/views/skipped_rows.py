"""Rows that the models left out because they can't be read, in one sentence."""

from collections.abc import Sequence

from vigilbase.models.rows import SkippedRows
from vigilbase.views.terminal import escape


def count_skipped(skipped: Sequence[SkippedRows]) -> int:
    """How many rows were left out."""
    return sum(each.count for each in skipped)


def describe_skipped(skipped: Sequence[SkippedRows]) -> str:
    """`2 rows can't be read and are left out; the first: health_check 4f3a…: status is 'paused', not one of …`."""
    count, first = count_skipped(skipped), skipped[0]
    rows = "1 row can't be read and is" if count == 1 else f"{count:,} rows can't be read and are"
    name = f"{first.noun} {first.id}" if first.id else first.noun
    return f"{rows} left out; the first: {escape(name)}: {escape(first.reason)}"
