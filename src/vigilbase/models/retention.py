"""How the models delete what is old: in bounded batches, so that no statement holds locks for long."""

from collections.abc import Mapping

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Value
from vigilbase.models.rows import as_optional_integer, row_from

BATCH = 5000


async def delete_in_batches(function: str, arguments: Mapping[str, Value]) -> int:
    """Call a deleting function of 013 until nothing is left to delete; return how many rows it deleted.

    The first batch fixes the moment before which rows go, so a pass ends though rows are written meanwhile.
    """
    deleted = 0
    before: Value = None
    while True:
        answer = await get_supabase_service_client().call(function, {**arguments, "p_limit": BATCH, "p_before": before})
        batch = row_from(answer, f"call {function}") or {}
        count = as_optional_integer(batch.get("deleted")) or 0
        deleted += count
        if count < BATCH:
            return deleted
        before = batch.get("before")
