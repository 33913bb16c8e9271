"""Deletes old rows in bounded batches, so that no statement holds locks for long."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from vigilbase.clock import utc_now
from vigilbase.database.client import Row, ServiceClient, Value, Where
from vigilbase.domain import JSON
from vigilbase.models.fallback import call_or_fall_back
from vigilbase.models.rows import as_optional_integer, read_row
from vigilbase.models.validation import validate_days

BATCH = 5000


async def delete_in_batches(
    function: str,
    days: int,
    arguments: Mapping[str, Value] | None = None,
    *,
    table: str = "",
    only: Sequence[Where] = (),
) -> int:
    """Delete all rows written more than `days` ago; return how many.

    The first batch fixes the cut-off, so the pass ends even while rows are written. With migration 012 alone, one
    statement deletes the old rows of `table` that meet the conditions `only`.
    """
    age = timedelta(days=validate_days(days))

    def read(answer: JSON) -> Row:
        return read_row(answer, f"call {function}") or {}

    async def delete(client: ServiceClient) -> Row:
        # Without our functions, the database's clock can't be asked, so this machine's decides.
        old = Where("created_at", "lt", utc_now() - age)
        return {"deleted": await client.delete(table, [old, *only]), "is_all": True}

    deleted = 0
    before: Value = None
    while True:
        call = {"p_days": days, **(arguments or {}), "p_limit": BATCH, "p_before": before}
        batch = await call_or_fall_back(function, call, read, delete)
        count = as_optional_integer(batch.get("deleted")) or 0
        deleted += count
        if count < BATCH or batch.get("is_all"):
            return deleted
        before = batch.get("before")
