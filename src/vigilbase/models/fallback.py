"""The contract's methods on a database that has migration 012 alone: one verb in place of the function they call."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import ServiceClient, Value
from vigilbase.errors import MissingSchemaError
from vigilbase.vocabulary import JSON

Answer = TypeVar("Answer")

_MARKER = "vigilbase_role_info"


async def call_or(
    function: str,
    arguments: Mapping[str, Value],
    read: Callable[[JSON], Answer],
    verb: Callable[[ServiceClient], Awaitable[Answer]],
) -> Answer:
    """What `read` makes of a function's answer; or of a database without any of our functions, what `verb` returns.

    Raises:
        MissingSchemaError: this function is missing and others are there, as in a stale schema cache of the Data API.

    """
    client = get_supabase_service_client()
    try:
        return read(await client.call(function, arguments))
    except MissingSchemaError:
        if await _has_functions(client):
            raise
    return await verb(client)


async def _has_functions(client: ServiceClient) -> bool:
    try:
        await client.call(_MARKER)
    except MissingSchemaError:
        return False
    return True
