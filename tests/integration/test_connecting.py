"""Connecting within the limit: a host that is frozen, down or read-only doesn't keep the others from being reached."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.command import run
from tests.support.loopback import probe_target, serving, silent
from tests.support.postgres_client import open_client
from tests.support.relay import relaying
from tests.support.server import Cluster, PostgresServer, free_port, start_server
from vigilbase import DatabaseUnavailableError
from vigilbase.database.connect import connect
from vigilbase.database.connection_errors import ConnectionFailedError
from vigilbase.database.migrate import discover_migrations, list_pending, read_ledger
from vigilbase.database.postgres import PostgresClient

ROLE_INFO = "vigilbase_role_info"
PASSWORD = "hunter2-hunter2"


def _join(server: PostgresServer, *ports: int, database: str = "vigilbase", query: str = "") -> str:
    """The URL of a database of the server, with these ports instead of its own."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    parts = urlsplit(server.url(database))
    return f"postgresql://{parts.username}:{parts.password}@{hosts}/{database}{query}"


@pytest.fixture
def frozen_port() -> Iterator[int]:
    """A port where connections open, since the system accepts them, and no program answers."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        yield frozen.getsockname()[1]


@pytest.fixture
def read_only_port(cluster: Cluster, home: Path) -> Iterator[int]:
    """The port of a second server, with the same password, that is as read-only as a standby."""
    other = start_server(home, cluster)
    try:
        other.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        other.execute("SELECT pg_reload_conf()")
        yield other.port
    finally:
        other.embedded.stop()


async def test_client_first_host_frozen_uses_second_within_timeout(server: PostgresServer, frozen_port: int) -> None:
    started = time.monotonic()
    async with open_client(_join(server, frozen_port, server.port), timeout=3) as client:
        assert await client.call(ROLE_INFO)
    assert time.monotonic() - started < 3


async def test_client_first_host_freezes_while_running_goes_on_with_second(server: PostgresServer) -> None:
    async with (
        relaying(server.port) as (relay, port),
        open_client(_join(server, port, server.port), timeout=2, pool_size=4) as client,
    ):
        await asyncio.gather(*(client.call(ROLE_INFO) for _ in range(4)))
        relay.freeze()
        with pytest.raises(DatabaseUnavailableError, match="no answer within 2 s"):
            await client.call(ROLE_INFO)
        assert await client.call(ROLE_INFO)


async def test_direct_connection_first_host_frozen_uses_second(server: PostgresServer, frozen_port: int) -> None:
    started = time.monotonic()
    ledger = await read_ledger(_join(server, frozen_port, server.port), timeout=4)
    assert list_pending(discover_migrations(), ledger) == []
    assert time.monotonic() - started < 4


def test_migrate_and_doctor_first_host_frozen_use_second(
    server: PostgresServer, empty_database: str, frozen_port: int, tmp_path: Path
) -> None:
    url = _join(server, frozen_port, server.port, database=empty_database)
    environ = {"DATABASE_URL": url, "VIGILBASE_TIMEOUT": "2"}
    migrated = run("migrate", cwd=tmp_path, environ=environ)
    assert (migrated.returncode, migrated.stderr) == (0, "")
    doctor = run("doctor", cwd=tmp_path, environ=environ)
    assert (doctor.returncode, doctor.stderr) == (0, "")


def test_db_psql_first_host_frozen_uses_second(server: PostgresServer, frozen_port: int, tmp_path: Path) -> None:
    environ = {"DATABASE_URL": _join(server, frozen_port, server.port), "VIGILBASE_TIMEOUT": "2"}
    result = run("db", "psql", "-Atc", "SELECT 1", cwd=tmp_path, environ=environ)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")


async def test_probe_postgres_first_host_frozen_is_healthy_within_timeout(
    server: PostgresServer, frozen_port: int
) -> None:
    result = await probe_target("postgres", _join(server, frozen_port, server.port), 4)
    assert (result.status, result.error_message) == ("healthy", None)
    assert result.latency_ms < 4000


async def test_connect_no_time_left_says_so(frozen_port: int) -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"localhost.*no answer within 0 s"):
        await connect(f"postgresql://u@localhost:{frozen_port}/d", -1)


async def test_connect_unresolved_host_of_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "nonexistent.invalid")
    with pytest.raises(DatabaseUnavailableError, match=r"can't connect to nonexistent\.invalid"):
        await connect("postgresql://u@/d", 5)


async def test_connect_shorter_connect_timeout_of_url_stands(server: PostgresServer, frozen_port: int) -> None:
    started = time.monotonic()
    url = _join(server, frozen_port, server.port, query="?connect_timeout=2")
    await (await connect(url, 20)).close()
    assert time.monotonic() - started < 8


async def test_connect_longer_connect_timeout_of_url_does_not_extend_limit(frozen_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(ConnectionFailedError):
        await connect(f"postgresql://u@127.0.0.1:{frozen_port},127.0.0.1:{frozen_port}/d?connect_timeout=60", 0.5)
    assert 0.5 <= time.monotonic() - started < 1.5


async def test_connect_name_with_two_addresses_first_frozen_uses_second(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [
        (socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, server.port)) for host in ("127.0.0.2", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", server.port))
        listener.listen()
        url = server.url().replace("127.0.0.1", "db.example.com")
        started = time.monotonic()
        await (await connect(url, 4)).close()
    assert time.monotonic() - started < 4


async def test_connect_read_write_is_asked_for_skips_frozen_and_read_only_hosts(
    server: PostgresServer, frozen_port: int, read_only_port: int
) -> None:
    query = "?target_session_attrs=read-write"
    connection = await connect(_join(server, frozen_port, read_only_port, server.port, query=query), 3)
    assert connection.info.port == server.port
    await connection.close()


async def test_connect_no_read_write_host_tells_why_the_other_failed(
    server: PostgresServer, read_only_port: int
) -> None:
    port, query = free_port(), "?target_session_attrs=read-write"
    with pytest.raises(ConnectionFailedError) as caught:
        await connect(_join(server, port, read_only_port, query=query), 3)
    assert str(caught.value) == f"can't connect to 127.0.0.1:{port} (from DATABASE_URL): connection refused"
    with pytest.raises(ConnectionFailedError, match="session is read-only"):
        await connect(_join(server, read_only_port, query=query), 3)


async def test_client_every_host_silent_error_names_each_and_variable(
    frozen_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGILBASE_DATABASE_URL", "set")
    async with serving(silent) as other:
        url = f"postgresql://u:{PASSWORD}@127.0.0.1:{frozen_port},localhost:{other}/d"
        expected = (
            f"can't connect to 127.0.0.1:{frozen_port}, localhost:{other} (from VIGILBASE_DATABASE_URL): "
            "no answer within "
        )
        async with open_client(url, timeout=0.5) as client:
            with pytest.raises(DatabaseUnavailableError) as caught:
                await client.call(ROLE_INFO)
        assert str(caught.value).startswith(expected)
        with pytest.raises(DatabaseUnavailableError) as caught:
            await read_ledger(url, timeout=0.5)
        assert str(caught.value).startswith(expected)


async def test_connect_refused_password_is_told_alone(server: PostgresServer, frozen_port: int) -> None:
    ports = (server.port, free_port(), frozen_port)
    for hosts in (ports, ports[::-1]):
        url = _join(server, *hosts).replace(server.password, PASSWORD)
        with pytest.raises(ConnectionFailedError) as caught:
            await connect(url, 1)
        assert str(caught.value) == (
            f"can't connect to 127.0.0.1:{server.port} (from DATABASE_URL): "
            'password authentication failed for user "postgres"'
        )


async def test_connect_two_addresses_of_one_host_are_named_once(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))] * 2
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    with pytest.raises(ConnectionFailedError) as caught:
        await connect(f"postgresql://postgres:{PASSWORD}@localhost:{server.port}/vigilbase", 5)
    assert str(caught.value) == (
        f"can't connect to localhost:{server.port} (from DATABASE_URL): "
        'password authentication failed for user "postgres"'
    )


async def test_client_embedded_server_that_does_not_start_in_time_is_unavailable() -> None:
    async def wait_for_ever() -> str:
        await asyncio.Event().wait()
        return ""

    client = PostgresClient(wait_for_ever, timeout=0.2)
    with pytest.raises(DatabaseUnavailableError, match=f"call {ROLE_INFO}: no answer within 0.2 s"):
        await client.call(ROLE_INFO)
    async with asyncio.timeout(5):
        with pytest.raises(DatabaseUnavailableError, match=r"listen on channel: no answer within 0\.2 s"):
            await anext(aiter(client.listen("channel")))
    await client.aclose()


async def test_connect_silent_host_is_tried_last_for_a_while(server: PostgresServer, frozen_port: int) -> None:
    url = _join(server, frozen_port, server.port)
    await (await connect(url, 6)).close()
    started = time.monotonic()
    await (await connect(url, 60)).close()
    assert time.monotonic() - started < 10  # 30 s is the share of the silent one
