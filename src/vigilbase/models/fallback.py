"""Lets the contract's methods work on a database with migration 012 alone: a verb replaces the function they call."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import ServiceClient, Value
from vigilbase.domain import JSON
from vigilbase.errors import MissingSchemaError

Answer = TypeVar("Answer")

DATABASE_NOW = "now"
"""As a value or in a condition, the time of the transaction by the database's clock: Postgres' own word for it."""

# It only reads, so it can be called just to see whether our functions exist.
_MARKER = "vigilbase_role_info"


async def call_or_fall_back(
    function: str,
    arguments: Mapping[str, Value],
    read: Callable[[JSON], Answer],
    verb: Callable[[ServiceClient], Awaitable[Answer]],
) -> Answer:
    """The function's answer through `read`; or, on a database without any of our functions, the result of `verb`.

    Raises:
        MissingSchemaError: this function is missing while others exist, as in a stale schema cache of the Data API.

    """
    client = get_supabase_service_client()
    try:
        return read(await client.call(function, arguments))
    except MissingSchemaError:
        # If only the Data API's cache misses it, other callers rely on its locks, which the verb doesn't take.
        if await _has_our_functions(client):
            raise
    return await verb(client)


async def _has_our_functions(client: ServiceClient) -> bool:
    try:
        await client.call(_MARKER)
    except MissingSchemaError:
        return False
    return True
