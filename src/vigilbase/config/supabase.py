"""The service client that every model method uses: `get_supabase_service_client()`."""

import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from vigilbase.database.client import ServiceClient
from vigilbase.database.row_security import HiddenRowsError
from vigilbase.errors import ConfigurationError
from vigilbase.extras import import_from_extra

if TYPE_CHECKING:
    import asyncio

    from vigilbase.database.embedded import EmbeddedServer
    from vigilbase.settings import Settings

# What only a call needs, such as pydantic and a driver, is imported by the call, so that neither an application that
# imports the models nor a shell that completes a command waits for it.
# ruff: noqa: PLC0415

_OTHER_DATABASES = ", or set DATABASE_URL, or SUPABASE_URL and SUPABASE_SECRET_KEY, to use another database"

# One client per event loop, because connections belong to the loop that opened them.
_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ServiceClient]" = weakref.WeakKeyDictionary()


def get_supabase_service_client() -> ServiceClient:
    """The service client of the running event loop, configured from the environment at the first call.

    It connects when it is first used. Close it with `close_supabase_service_client()` when the program ends.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message says what to set.

    """
    from asyncio import get_running_loop

    loop = get_running_loop()
    client = _clients.get(loop)
    if client is None:
        from vigilbase.settings import load_settings

        client = _clients[loop] = make_service_client(load_settings())
    return client


async def close_supabase_service_client() -> None:
    """Close the running loop's service client, if there is one. The next request for a client makes a new one."""
    from asyncio import get_running_loop

    client = _clients.pop(get_running_loop(), None)
    if client is not None:
        await client.aclose()


def make_service_client(settings: "Settings") -> ServiceClient:
    """Make a separate service client for these settings. It connects when it is first used.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message says what to set.

    """
    from vigilbase.settings import choose_transport

    transport = choose_transport(settings)
    if transport.name == "supabase" and settings.supabase_url and settings.supabase_key:
        from vigilbase.database.supabase import SupabaseClient

        return SupabaseClient(settings.supabase_url, settings.supabase_key.get_secret_value(), timeout=settings.timeout)
    from asyncio import to_thread

    from vigilbase.database.postgres import PostgresClient
    from vigilbase.database.urls import check_conninfo

    if transport.name == "postgres" and settings.database_url:
        url = settings.database_url.get_secret_value()
        check_conninfo(url)

        async def get_url() -> str:  # not a partial, whose repr would show the password
            return url

        return PostgresClient(get_url, timeout=settings.timeout, pool_size=settings.pool_size)
    server = make_embedded_server(settings)
    return PostgresClient(
        _share_start(server.start),
        timeout=settings.timeout,
        pool_size=settings.pool_size,
        on_close=partial(to_thread, server.stop),
    )


def _share_start(start: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    """Run a blocking start in a thread, shared by all concurrent callers.

    A server may take minutes to recover. A thread per caller would use up the loop's threads, which also resolve names.
    """
    import asyncio

    starting: asyncio.Task[str] | None = None

    async def start_or_wait() -> str:
        nonlocal starting
        if starting is None or starting.done():
            starting = asyncio.create_task(asyncio.to_thread(start))
            # If all callers have left, asyncio would warn about an exception that was never retrieved.
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        # A caller that is cancelled must not stop the start for the others.
        return await asyncio.shield(starting)

    return start_or_wait


def make_embedded_server(settings: "Settings") -> "EmbeddedServer":
    """Make the embedded server of these settings' home folder, without starting it.

    Raises:
        MissingExtraError: the extra `embedded` is not installed.

    """
    import_from_extra("vigilbase.database.embedded", "embedded", "the embedded Postgres", _OTHER_DATABASES)
    from vigilbase.database.embedded import EmbeddedServer, get_default_home

    return EmbeddedServer(settings.home or get_default_home())


async def check_service_client(client: ServiceClient) -> None:
    """Check at start what would otherwise fail later, or silently return no rows.

    Raises:
        AccessRefusedError: row-level security hides the rows from this role.
        ConfigurationError: the answer is not from a Data API.
        MissingSchemaError: a table or a function is missing; the message says what to run.
        DatabaseError: the database can't be reached, or rejects the key.

    """
    info = await client.call("vigilbase_role_info")
    if not isinstance(info, dict) or "is_blind" not in info:
        raise ConfigurationError("the answer is not from a Supabase Data API: set SUPABASE_URL to the project's URL")
    if info["is_blind"] is not False:
        raise HiddenRowsError(info.get("role"))
