"""How the models delete what is old: in bounded batches, so that no statement holds locks for long."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from vigilbase.clock import utc_now
from vigilbase.database.client import Row, ServiceClient, Value, Where
from vigilbase.models.fallback import call_or
from vigilbase.models.rows import as_optional_integer, row_from
from vigilbase.models.validation import valid_days
from vigilbase.vocabulary import JSON

BATCH = 5000


async def delete_in_batches(
    function: str,
    days: int,
    arguments: Mapping[str, Value] | None = None,
    *,
    table: str = "",
    only: Sequence[Where] = (),
) -> int:
    """Delete what was written more than `days` ago, until nothing is left; return how many rows that was.

    The first batch fixes the moment before which rows go, so a pass ends though rows are written meanwhile. Where
    migration 012 is alone, one statement deletes the old rows of `table` that meet the conditions `only`.
    """
    age = timedelta(days=valid_days(days))

    def read(answer: JSON) -> Row:
        return row_from(answer, f"call {function}") or {}

    async def delete(client: ServiceClient) -> Row:
        old = Where("created_at", "lt", utc_now() - age)
        return {"deleted": await client.delete(table, [old, *only]), "is_all": True}

    deleted = 0
    before: Value = None
    while True:
        call = {"p_days": days, **(arguments or {}), "p_limit": BATCH, "p_before": before}
        batch = await call_or(function, call, read, delete)
        count = as_optional_integer(batch.get("deleted")) or 0
        deleted += count
        if count < BATCH or batch.get("is_all"):
            return deleted
        before = batch.get("before")
