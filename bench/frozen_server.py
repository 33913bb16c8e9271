"""How long a caller waits for a statement with a timeout of two seconds when the server hangs.

    .venv/bin/python -m bench.frozen_server [--rounds N] [--quick]

The server's processes are stopped (SIGSTOP): first only the one of the connection, so that the server receives a cancel
request but can't fulfil it; then all of them, as when the machine or the network is gone. We measure asyncpg with its
own timeout, psycopg with `asyncio.timeout` alone, and our client, which cuts the connection itself.
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
from bench.support import DATABASE, measure_work, print_table, running_server
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
    """psycopg with asyncio's timeout."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:

        async def ask() -> None:
            async with asyncio.timeout(TIMEOUT):
                await connection.execute("SELECT 1")

        yield ask


@asynccontextmanager
async def plain_asyncpg(url: str) -> AsyncIterator[Ask]:
    """asyncpg with its own timeout."""
    async with asyncpg_connection(url) as connection:
        yield partial(connection.fetchval, "SELECT 1", timeout=TIMEOUT)


@asynccontextmanager
async def our_client(url: str) -> AsyncIterator[Ask]:
    """Our client with one connection."""

    async def conninfo() -> str:
        return url

    client = PostgresClient(conninfo, timeout=TIMEOUT, pool_size=1)
    try:
        yield partial(client.call, "vigilbase_role_info")
    finally:
        await client.aclose()


@contextmanager
def stop_processes(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Stop processes of the server until the block ends."""
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # the process that listed the others is ending
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def find_processes(server: PostgresServer, which: str) -> list[psutil.Process]:
    """The server and its children, or only the children that serve a connection to the database."""
    pids = server.execute("SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL AND pid <> pg_backend_pid()")
    postmaster = psutil.Process(int((server.embedded.data / "postmaster.pid").read_text().split("\n")[0]))
    if which == ALL:
        return [postmaster, *postmaster.children()]
    return [psutil.Process(int(str(pid))) for (pid,) in pids]


async def measure_wait(server: PostgresServer, opened: Opened, which: str) -> float:
    """Run a statement once, then again on a frozen server; return the seconds until it fails."""
    async with opened as ask:
        await ask()
        with stop_processes(find_processes(server, which)):
            sample = await measure_work(partial(require_failure, ask))
    return sample.seconds


async def require_failure(ask: Ask) -> None:
    """Run a statement that must fail."""
    try:
        await ask()
    except (TimeoutError, DatabaseUnavailableError, psycopg.OperationalError):
        return
    raise AssertionError("a frozen server answered")


def main() -> None:
    """Read the command line, measure, and print a table."""
    parser = argparse.ArgumentParser(description="How long a caller waits for a hanging server.")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds; the medians are printed")
    parser.add_argument("--quick", action="store_true", help="measure our client once, with the whole server frozen")
    options = parser.parse_args()
    openers: dict[str, Callable[[str], Opened]] = {"PostgresClient": our_client}
    if not options.quick:
        openers["psycopg, asyncio.timeout"] = plain_psycopg
        if has_asyncpg():
            openers["asyncpg, its own timeout"] = plain_asyncpg
    rounds, frozen = (1, (ALL,)) if options.quick else (options.rounds, (ONE, ALL))
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # it logs every connection that it drops
    with running_server() as server:
        lines = [
            [client, which, f"{median(measure(server, opener, which) for _ in range(rounds)):.1f}"]
            for which in frozen
            for client, opener in openers.items()
        ]
    header = ["client", "what is frozen", "seconds until it returns"]
    print_table(f"A timeout of {TIMEOUT:g} s, medians of {rounds} rounds", header, lines, texts=2)


def measure(server: PostgresServer, opener: Callable[[str], Opened], which: str) -> float:
    """Measure one round in a new event loop."""
    return asyncio.run(measure_wait(server, opener(server.url(DATABASE)), which))


if __name__ == "__main__":
    main()
