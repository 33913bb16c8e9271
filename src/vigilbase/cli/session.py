"""How a command runs its coroutine, and opens the database."""

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from vigilbase.config.supabase import close_supabase_service_client

if TYPE_CHECKING:
    from vigilbase.models.rows import SkippedRows

Result = TypeVar("Result")


def run_command(coroutine: Coroutine[object, object, Result]) -> Result:
    """Run a command's coroutine, and close its connections whatever happens."""
    import asyncio

    from vigilbase.threads import DaemonThreads

    async def run_and_close() -> Result:
        # Python's own threads would delay the exit while a name lookup hangs (decision 11).
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        try:
            return await coroutine
        finally:
            # Connections belong to this event loop, and the next call runs in another.
            await close_supabase_service_client()

    return asyncio.run(run_and_close())


def run_query(coroutine: Coroutine[object, object, Result]) -> "tuple[Result, Sequence[SkippedRows]]":
    """As `run_command`; also returns the rows that reads left out, for a command that lists rows."""
    from vigilbase.models.rows import collect_skipped

    with collect_skipped() as skipped:
        return run_command(coroutine), skipped


@asynccontextmanager
async def open_database() -> AsyncIterator[None]:
    """The configured database for the block, ready for the models. It must exist and be migrated.

    Raises:
        VigilbaseError: it can't be used; the message says what to do.

    """
    from vigilbase.config.session import open_database as open_configured_database
    from vigilbase.settings import load_settings

    async with open_configured_database(load_settings(), migrate=False):
        yield
