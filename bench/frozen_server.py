"""How long a statement with a timeout of two seconds keeps its caller when the server hangs.

    .venv/bin/python -m bench.frozen_server [--rounds N] [--quick]

The server's processes are stopped (SIGSTOP): first only the one that serves the connection, so that a request to
cancel is heard and can't be met; then all of them, as when a machine or the way to it is gone. asyncpg is measured with
its own timeout, psycopg with nothing but `asyncio.timeout`, and our client, which cuts the connection itself.
"""

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from functools import partial
from statistics import median
from typing import TypeAlias

import psutil
import psycopg
from psycopg.rows import dict_row

from bench.asyncpg_driver import asyncpg_connection, has_asyncpg
from bench.support import DATABASE, measured, print_table, running_server
from tests.support.server import PostgresServer
from vigilbase.database.postgres import PostgresClient
from vigilbase.errors import DatabaseUnavailableError

TIMEOUT = 2.0
ALL = "the whole server"
ONE = "one connection's process"

Ask: TypeAlias = Callable[[], Awaitable[object]]
Opened: TypeAlias = AbstractAsyncContextManager[Ask]


@asynccontextmanager
async def plain_psycopg(url: str) -> AsyncIterator[Ask]:
    """psycopg, with asyncio's timeout round it."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:

        async def ask() -> None:
            async with asyncio.timeout(TIMEOUT):
                await connection.execute("SELECT 1")

        yield ask


@asynccontextmanager
async def plain_asyncpg(url: str) -> AsyncIterator[Ask]:
    """asyncpg, with its own timeout."""
    async with asyncpg_connection(url) as connection:
        yield partial(connection.fetchval, "SELECT 1", timeout=TIMEOUT)


@asynccontextmanager
async def our_client(url: str) -> AsyncIterator[Ask]:
    """The service client, with one connection."""

    async def conninfo() -> str:
        return url

    client = PostgresClient(conninfo, timeout=TIMEOUT, pool_size=1)
    try:
        yield partial(client.call, "vigilbase_role_info")
    finally:
        await client.aclose()


@contextmanager
def stopped(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Processes of the server stopped, until the block ends."""
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # the one that was asked for the others is on its way out
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def processes_of(server: PostgresServer, which: str) -> list[psutil.Process]:
    """The server and its children; or the children alone that serve a connection to the database."""
    pids = server.execute("SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()")
    postmaster = psutil.Process(int((server.embedded.data / "postmaster.pid").read_text().split("\n")[0]))
    if which == ALL:
        return [postmaster, *postmaster.children()]
    return [psutil.Process(int(str(pid))) for (pid,) in pids]


async def seconds_until_it_gives_up(server: PostgresServer, opened: Opened, which: str) -> float:
    """Ask once while all is well and once while nobody answers; how long the second took to fail."""
    async with opened as ask:
        await ask()
        with stopped(processes_of(server, which)):
            sample = await measured(partial(must_fail, ask))
    return sample.seconds


async def must_fail(ask: Ask) -> None:
    """Ask, and be told that nobody answered in time."""
    try:
        await ask()
    except (TimeoutError, DatabaseUnavailableError, psycopg.OperationalError):
        return
    raise AssertionError("a server that stands still answered")


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description="How long a hanging server keeps its callers.")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the median is printed")
    parser.add_argument("--quick", action="store_true", help="our client alone, the whole server, once")
    options = parser.parse_args()
    openers: dict[str, Callable[[str], Opened]] = {"PostgresClient": our_client}
    if not options.quick:
        openers["psycopg, asyncio.timeout"] = plain_psycopg
        if has_asyncpg():
            openers["asyncpg, its own timeout"] = plain_asyncpg
    rounds, frozen = (1, (ALL,)) if options.quick else (options.rounds, (ONE, ALL))
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it tells of every connection that it gives up
    with running_server() as server:
        lines = [
            [who, which, f"{median(measure(server, opener, which) for _ in range(rounds)):.1f}"]
            for which in frozen
            for who, opener in openers.items()
        ]
    header = ["who asks", "what stands still", "seconds until it gives up"]
    print_table(f"A timeout of {TIMEOUT:g} s, median of {rounds} rounds", header, lines, texts=2)


def measure(server: PostgresServer, opener: Callable[[str], Opened], which: str) -> float:
    """One round, in an event loop of its own."""
    return asyncio.run(seconds_until_it_gives_up(server, opener(server.url(DATABASE)), which))


if __name__ == "__main__":
    main()
