"""Newest rows of a table, read in pages, since the Data API returns at most 1,000 rows at once."""

from collections.abc import Sequence

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import MAX_ROWS, Order, Row, Where

# The id breaks ties: one statement gives all its rows the same created_at, often more than a page.
_NEWEST_FIRST = (Order("created_at", descending=True), Order("id", descending=True))


async def select_newest(table: str, where: Sequence[Where], limit: int | None = None) -> list[Row]:
    """The newest rows by `created_at`, then id, rows without a time last; at most `limit`, or all of them.

    A page begins after the last row of the one before, so rows that are written meanwhile neither repeat nor shift any.
    """
    rows: list[Row] = []
    while limit is None or len(rows) < limit:
        size = MAX_ROWS if limit is None else min(MAX_ROWS, limit - len(rows))
        page = await _select_after(table, where, rows[-1] if rows else None, size)
        rows += page
        if len(page) < size:
            break
    return rows


async def _select_after(table: str, where: Sequence[Where], last: Row | None, size: int) -> list[Row]:
    """The rows after one: first the same time with smaller ids, then older times, then no time."""
    select = get_supabase_service_client().select
    if last is None:
        return await select(table, where, _NEWEST_FIRST, limit=size)
    at = last["created_at"]
    # Conditions can't compare two columns as a pair, so each part of the order is a call of its own (decision 3).
    rows = await select(
        table, [*where, Where("created_at", "eq", at), Where("id", "lt", last["id"])], _NEWEST_FIRST, limit=size
    )
    for further in (Where("created_at", "lt", at), Where("created_at", "eq", None)):
        if at is not None and len(rows) < size:
            rows += await select(table, [*where, further], _NEWEST_FIRST, limit=size - len(rows))
    return rows
