"""Pooled connections that the server has closed: the next call opens a new one, and nothing runs twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.loopback import serving
from tests.support.postgres_client import open_client
from tests.support.relay import Relay, relaying
from tests.support.server import PostgresServer
from tests.support.tls_postgres import run_tls_postgres
from tests.support.waiting import wait_until, wait_until_async
from vigilbase import DatabaseUnavailableError
from vigilbase.database import pool
from vigilbase.database.client import ServiceClient

FUNCTIONS = """
    CREATE SEQUENCE calls;
    CREATE FUNCTION count_call() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('calls') $$;
    CREATE FUNCTION count_call_and_end() RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('calls');
            RETURN pg_terminate_backend(pg_backend_pid());
        END $$;
    CREATE FUNCTION pause() RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(0.2)::text $$;
"""
OURS = "FROM pg_stat_activity WHERE application_name = 'vigilbase' AND datname = '{}'"


@pytest.fixture
def functions(server: PostgresServer, empty_database: str) -> str:
    server.execute(FUNCTIONS, empty_database)
    return empty_database


@pytest.fixture
async def relay(server: PostgresServer) -> AsyncIterator[tuple[Relay, int]]:
    async with relaying(server.port) as running:
        yield running


async def _call_four_times_at_once(client: ServiceClient) -> None:
    await asyncio.gather(*(client.call("pause") for _ in range(4)))


def _end_sessions(server: PostgresServer, database: str) -> None:
    ours = OURS.format(database)
    server.execute(f"SELECT pg_terminate_backend(pid) {ours}", "postgres")
    wait_until(lambda: server.execute(f"SELECT count(*) {ours}", "postgres"), [(0,)].__eq__)


async def test_client_all_idle_connections_terminated_next_calls_succeed(
    server: PostgresServer, functions: str
) -> None:
    async with open_client(server.url(functions), pool_size=4) as client:
        await _call_four_times_at_once(client)
        _end_sessions(server, functions)
        assert [await client.call("count_call") for _ in range(6)] == [1, 2, 3, 4, 5, 6]


async def test_client_idle_tls_connections_terminated_next_calls_succeed() -> None:
    with run_tls_postgres() as server:
        server.execute(FUNCTIONS)
        async with open_client(server.url(query="?sslmode=require"), pool_size=4) as client:
            await _call_four_times_at_once(client)
            ours = OURS.format("postgres")
            server.execute(f"SELECT pg_terminate_backend(pid) {ours}")
            wait_until(lambda: server.execute(f"SELECT count(*) {ours}"), [(0,)].__eq__)
            assert [await client.call("count_call") for _ in range(6)] == [1, 2, 3, 4, 5, 6]


async def test_client_idle_session_timeout_next_calls_succeed(server: PostgresServer, functions: str) -> None:
    server.execute(f"ALTER DATABASE {functions} SET idle_session_timeout = '1s'", "postgres")
    count = f"SELECT count(*) {OURS.format(functions)}"
    async with open_client(server.url(functions)) as client:
        for number in range(1, 4):
            assert await client.call("count_call") == number
            wait_until(lambda: server.execute(count, "postgres"), [(0,)].__eq__)


async def test_client_session_ended_while_statement_is_sent_runs_it_once_more(
    server: PostgresServer, functions: str, relay: tuple[Relay, int]
) -> None:
    through, port = relay
    url = server.url(functions).replace(f":{server.port}/", f":{port}/")
    async with open_client(url, pool_size=4) as client:
        await _call_four_times_at_once(client)
        through.hold_answers()
        await asyncio.to_thread(_end_sessions, server, functions)
        assert [await client.call("count_call") for _ in range(3)] == [1, 2, 3]
    assert through.connections == 5


async def test_client_connection_lost_without_reason_is_not_repeated(
    server: PostgresServer, functions: str, relay: tuple[Relay, int]
) -> None:
    through, port = relay
    async with open_client(server.url(functions).replace(f":{server.port}/", f":{port}/")) as client:
        assert await client.call("count_call") == 1
        through.hold_answers(lose=True)
        # The server commits, and its answer gets lost.
        with pytest.raises(DatabaseUnavailableError, match="call count_call: "):
            await client.call("count_call")
    assert server.execute("SELECT last_value FROM calls", functions) == [(2,)]
    assert through.connections == 1


async def test_client_session_ended_during_statement_is_not_repeated(server: PostgresServer, functions: str) -> None:
    async with open_client(server.url(functions)) as client:
        assert await client.call("count_call") == 1
        with pytest.raises(DatabaseUnavailableError, match="terminating connection"):
            await client.call("count_call_and_end")
        assert await client.call("count_call") == 3


async def test_pool_connection_idle_for_too_long_is_closed_behind_busier_ones(
    server: PostgresServer, functions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_MAX_IDLE_S", 0.3)
    count = f"SELECT count(*) {OURS.format(functions)}"
    async with open_client(server.url(functions), pool_size=4) as client:
        await _call_four_times_at_once(client)
        assert server.execute(count, "postgres") == [(4,)]

        async def keep_one_busy() -> None:
            while True:
                await client.call("count_call")

        busy = asyncio.create_task(keep_one_busy())
        left = await wait_until_async(lambda: server.execute(count, "postgres"), [(1,)].__eq__)
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
        assert left == [(1,)]


async def test_client_session_ended_by_proxy_is_not_run_again() -> None:
    """A proxy says so in Postgres' words, after it may have passed the transaction on."""
    received: list[bytes] = []
    farewell = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"R" + (8).to_bytes(4) + bytes(4) + b"Z" + (5).to_bytes(4) + b"I")
        received.append(await reader.read(1000))
        writer.write(b"E" + (len(farewell) + 4).to_bytes(4) + farewell)
        writer.close()

    async with serving(answer) as port, open_client(f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable") as client:
        with pytest.raises(DatabaseUnavailableError, match="terminating connection"):
            await client.call("count_call")
    assert len(received) == 1
