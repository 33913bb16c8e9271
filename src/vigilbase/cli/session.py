"""How a command runs: its coroutine, and warnings about the database."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TypeVar

import typer

from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.database.host import Host, list_warnings, read_host_at
from vigilbase.models.rows import SkippedRows, collect_skipped
from vigilbase.settings import Settings
from vigilbase.threads import DaemonThreads

Result = TypeVar("Result")


def run_command(coroutine: Coroutine[object, object, Result]) -> Result:
    """Run a command's coroutine, and close its connections whatever happens."""

    async def run_and_close() -> Result:
        # Python's own threads would delay the exit while a name lookup hangs (decision 11).
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        try:
            return await coroutine
        finally:
            # Connections belong to this event loop, and the next call runs in another.
            await close_supabase_service_client()

    return asyncio.run(run_and_close())


def run_query(coroutine: Coroutine[object, object, Result]) -> tuple[Result, Sequence[SkippedRows]]:
    """As `run_command`; also returns the rows that reads left out, for a command that lists rows."""
    with collect_skipped() as skipped:
        return run_command(coroutine), skipped


async def warn_about_host(url: str, settings: Settings) -> Host:
    """Print the database's shortcomings on standard error, and return its description."""
    host = await read_host_at(url, timeout=settings.timeout)
    for problem, advice in list_warnings(host):
        typer.echo(f"vigilbase: warning: {problem}: {advice}", err=True)
    return host
