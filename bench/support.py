"""Shared by the benchmarks: a server with default durability, sample rows, a stopwatch and a printed table."""

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from tests.support.server import API_ROLES, PostgresServer, free_port, home_folder
from tests.support.supabase_api import run_supabase_api
from vigilbase import CreateHealthCheckData
from vigilbase.clock import utc_now
from vigilbase.config.supabase import close_supabase_service_client
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.database.migrate import apply_pending, discover_migrations

Work = Callable[[], Awaitable[object]]

DATABASE = "vigilbase"
TABLE = "service_health_checks"
SERVICES = 2000
TRANSPORTS = ("embedded", "postgres", "supabase")
_ENVIRONMENT = (
    "VIGILBASE_TRANSPORT",
    "VIGILBASE_HOME",
    "VIGILBASE_TIMEOUT",
    "VIGILBASE_POOL_SIZE",
    "VIGILBASE_DATABASE_URL",
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_SECRET_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
)
_SHOWN_SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")


@dataclass(frozen=True, slots=True)
class Sample:
    """The seconds of some work, and the CPU seconds of this process."""

    seconds: float
    cpu: float


async def measure_work(work: Work) -> Sample:
    """Do some work once and measure it."""
    began, cpu_began = time.perf_counter(), time.process_time()
    await work()
    return Sample(time.perf_counter() - began, time.process_time() - cpu_began)


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """Start a migrated embedded server in a temporary home folder, on a socket and on loopback TCP.

    Unlike the server of the tests, it has Postgres' default settings: a committed transaction is on disk.
    """
    with home_folder() as home:
        port = free_port()
        embedded = EmbeddedServer(home, settings={"listen_addresses": "127.0.0.1", "port": str(port)})
        server = PostgresServer(embedded, port, secrets.token_hex(16))
        try:
            _prepare(embedded.start(), server.password)
            asyncio.run(apply_pending(embedded.url, discover_migrations()))
            print(f"Postgres on {os.cpu_count()} cores: {_format_settings(server)}\n")
            yield server
        finally:
            embedded.stop()


def _prepare(url: str, password: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))
        for role in API_ROLES:
            bypass = sql.SQL(" BYPASSRLS" if role == "service_role" else "")
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN{}").format(sql.Identifier(role), bypass))


def _format_settings(server: PostgresServer) -> str:
    return ", ".join(f"{name} {server.execute(f'SHOW {name}')[0][0]}" for name in _SHOWN_SETTINGS)


@contextmanager
def transport_settings(server: PostgresServer, transports: Sequence[str]) -> Iterator[dict[str, dict[str, str]]]:
    """The environment for each transport to the same database; the Data API runs until the block ends."""
    settings = {
        "embedded": {"VIGILBASE_HOME": str(server.embedded.home)},
        "postgres": {"DATABASE_URL": server.url(DATABASE)},
    }
    if "supabase" not in transports:
        yield {name: settings[name] for name in transports}
        return
    with TemporaryDirectory() as folder, run_supabase_api(server, DATABASE, Path(folder)) as api:
        settings["supabase"] = {"SUPABASE_URL": api.url, "SUPABASE_SECRET_KEY": api.secret_key}
        yield {name: settings[name] for name in transports}


def run_with(settings: Mapping[str, str], work: Callable[[], Awaitable[None]]) -> None:
    """Run work in a new event loop, with a service client for these settings."""
    for name in _ENVIRONMENT:
        os.environ.pop(name, None)
    # Enough to read the whole history in one statement on a busy machine.
    os.environ.update({"VIGILBASE_TIMEOUT": "120", **settings})

    async def run() -> None:
        try:
            await work()
        finally:
            await close_supabase_service_client()

    asyncio.run(run())


def make_checks(count: int) -> list[CreateHealthCheckData]:
    """Checks of HTTP probes, each with a latency and details; every 20th is down."""
    begin = utc_now() - timedelta(seconds=30 * count / SERVICES)
    return [_make_check(number, begin) for number in range(count)]


def _make_check(number: int, begin: datetime) -> CreateHealthCheckData:
    is_down = number % 20 == 19
    return CreateHealthCheckData(
        service_name=f"service-{number % SERVICES:05}",
        status="down" if is_down else "healthy",
        latency_ms=20 + number * 7 % 400,
        error_message="the server answered 503 Service Unavailable" if is_down else None,
        probe_details={"kind": "http", "status_code": 503 if is_down else 200, "tls_days_left": 61, "ip": "192.0.2.17"},
        checked_at=begin + timedelta(seconds=30) * (number / SERVICES),
    )


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> None:
    """Print a Markdown table; the first `texts` columns are text, the others right-aligned numbers."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    rule = ["-" * width if column < texts else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    print(f"{title}\n")
    for row in (header, rule, *rows):
        sized = zip(row, widths, strict=True)
        cells = (
            text.ljust(width) if column < texts else text.rjust(width) for column, (text, width) in enumerate(sized)
        )
        print(f"| {' | '.join(cells)} |")
    print(flush=True)
