"""`get_supabase_service_client()`: what every model method calls, each time."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from functools import partial

from vigilbase.database.blindness import BlindRoleError
from vigilbase.database.client import ServiceClient
from vigilbase.database.embedded import EmbeddedServer, default_home
from vigilbase.database.postgres import PostgresClient, check_conninfo
from vigilbase.errors import ConfigurationError
from vigilbase.settings import Settings, chosen_transport, load_settings

# One client for each event loop: connections belong to the loop that opened them, and go with it.
_clients: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ServiceClient]" = weakref.WeakKeyDictionary()


def get_supabase_service_client() -> ServiceClient:
    """The service client of the running event loop, made from the environment at the first call.

    It connects at its first use; close it with `close_supabase_service_client()` when the program ends.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message says what to set.

    """
    loop = asyncio.get_running_loop()
    client = _clients.get(loop)
    if client is None:
        client = _clients[loop] = make_service_client(load_settings())
    return client


async def close_supabase_service_client() -> None:
    """Close the running loop's service client, if there is one; the next call makes a new one."""
    client = _clients.pop(asyncio.get_running_loop(), None)
    if client is not None:
        await client.aclose()


def make_service_client(settings: Settings) -> ServiceClient:
    """A service client of its own for these settings. It connects at its first use.

    Raises:
        ConfigurationError: a setting is missing or wrong; the message says what to set.

    """
    transport = chosen_transport(settings)
    if transport == "supabase" and settings.supabase_url and settings.supabase_key:
        # Imported where it is used: it takes longer than all the rest, and most commands don't need it.
        from vigilbase.database.supabase import SupabaseClient  # noqa: PLC0415

        return SupabaseClient(settings.supabase_url, settings.supabase_key.get_secret_value(), timeout=settings.timeout)
    if transport == "postgres" and settings.database_url:
        url = settings.database_url.get_secret_value()
        check_conninfo(url)

        async def given() -> str:  # not a partial: its repr would show the password
            return url

        return PostgresClient(given, timeout=settings.timeout, pool_size=settings.pool_size)
    server = embedded_server(settings)
    return PostgresClient(
        _one_at_a_time(server.start),
        timeout=settings.timeout,
        pool_size=settings.pool_size,
        on_close=partial(asyncio.to_thread, server.stop),
    )


def _one_at_a_time(start: Callable[[], str]) -> Callable[[], Awaitable[str]]:
    """A blocking start in a thread; whoever asks while it goes on waits for the same one.

    A server may take minutes to recover. A thread for each try would use up the loop's, which resolve names as well.
    """
    starting: asyncio.Task[str] | None = None

    async def start_or_wait() -> str:
        nonlocal starting
        if starting is None or starting.done():
            starting = asyncio.create_task(asyncio.to_thread(start))
            starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(starting)

    return start_or_wait


def embedded_server(settings: Settings) -> EmbeddedServer:
    """The embedded server of these settings' home folder; not started."""
    return EmbeddedServer(settings.home or default_home())


async def check_service_client(client: ServiceClient) -> None:
    """Find out at start what would otherwise fail later or, worse, find nothing and say nothing.

    Raises:
        AccessRefusedError: row-level security hides the rows from this role.
        ConfigurationError: that is no Data API.
        MissingSchemaError: a table or a function is missing; the message says what to run.
        DatabaseError: nobody answers, the key is refused, …

    """
    info = await client.call("vigilbase_role_info")
    if not isinstance(info, dict) or "is_blind" not in info:
        raise ConfigurationError("that is no answer of a Supabase Data API: is SUPABASE_URL the project's URL?")
    if info["is_blind"] is not False:
        raise BlindRoleError(info.get("role"))
