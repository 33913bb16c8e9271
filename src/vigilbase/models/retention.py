"""Deletes old rows in bounded batches, so that no statement holds locks for long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from vigilbase.clock import utc_now
from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, ServiceClient, Value, Where
from vigilbase.domain import JSON
from vigilbase.models.columns import get_integer, get_moment
from vigilbase.models.fallback import call_or_fall_back
from vigilbase.models.rows import read_item, read_row
from vigilbase.models.validation import validate_days

BATCH = 5000


@dataclass(frozen=True, slots=True)
class _Batch:
    """How many rows were deleted, and the cut-off of further batches; None if nothing is left."""

    deleted: int
    before: datetime | None


async def delete_in_batches(
    function: str,
    days: int,
    arguments: Mapping[str, Value] | None = None,
    *,
    table: str | None = None,
    only: Sequence[Where] = (),
) -> int:
    """Delete all rows written more than `days` ago; return how many.

    The first batch fixes the cut-off, so the pass ends even while rows are written. With migration 012 alone, one
    statement deletes the old rows of `table`, if it is one of the contract's, that meet the conditions `only`.

    Raises:
        DatabaseError: the database fails.

    """
    age = timedelta(days=validate_days(days))

    def read(answer: JSON) -> _Batch:
        return read_item(read_row(answer, f"call {function}"), _read_batch, f"call {function}")

    deleted = 0
    before: datetime | None = None
    while True:
        call = {"p_days": days, **(arguments or {}), "p_limit": BATCH, "p_before": before}
        if table is None:
            batch = read(await get_supabase_service_client().call(function, call))
        else:
            batch = await call_or_fall_back(function, call, read, partial(_delete_all, table, age, only))
        deleted += batch.deleted
        before = batch.before
        if batch.deleted < BATCH or before is None:
            return deleted


def _read_batch(row: Row) -> _Batch:
    return _Batch(get_integer(row, "deleted"), get_moment(row, "before"))


async def _delete_all(table: str, age: timedelta, only: Sequence[Where], client: ServiceClient) -> _Batch:
    # Without our functions, the database's clock can't be asked, so this machine's decides.
    old = Where("created_at", "lt", utc_now() - age)
    return _Batch(await client.delete(table, [old, *only]), None)
