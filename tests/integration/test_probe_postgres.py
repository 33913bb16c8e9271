"""The probe `postgres` with real servers, through a real pooler, and with other protocols."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import ValidationError

from tests.conftest import Backend
from tests.support.loopback import (
    SHORT,
    TIMED_OUT,
    get_details,
    get_phases,
    hang_up,
    probe_target,
    require_timed_out,
    send_gibberish,
    serving,
    silent,
)
from tests.support.pooler import run_pooler
from tests.support.server import PostgresServer, free_port, home_folder
from vigilbase import close_supabase_service_client
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.probes import PROBES

PASSWORD = "hunter2-hunter2"


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[str]:
    with home_folder() as folder, run_pooler(server, Path(folder)) as url:
        yield url


def _version(server: PostgresServer) -> str:
    [[version]] = server.execute("SHOW server_version")
    return str(version).split()[0]


async def test_probe_postgres_running_server_is_healthy(server: PostgresServer) -> None:
    result = await probe_target("postgres", server.url())
    assert (result.status, result.error_message) == ("healthy", None)
    assert get_details(result) == {"server_version": _version(server), "phases": get_phases(result)}
    assert list(get_phases(result)) == ["connect_ms", "query_ms"]


async def test_probe_postgres_transaction_pooler_is_healthy(pooler: str, server: PostgresServer) -> None:
    for _ in range(5):
        result = await probe_target("postgres", f"{pooler}/vigilbase")
        assert (result.status, result.error_message) == ("healthy", None)
        assert get_details(result)["server_version"] == _version(server)


async def test_probe_postgres_standby_reports_in_recovery(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.start()
    embedded.stop()
    (embedded.data / "standby.signal").touch()
    url = embedded.start()
    try:
        result = await probe_target("postgres", url)
    finally:
        embedded.stop()
    assert (result.status, result.error_message) == ("healthy", None)
    assert get_details(result)["in_recovery"] is True


async def test_probe_postgres_closes_connection(server: PostgresServer, database: str) -> None:
    for _ in range(3):
        assert (await probe_target("postgres", server.url(database))).status == "healthy"
    server.execute(f"ALTER DATABASE {database} RENAME TO {database}_2")  # fails while a session is connected
    server.execute(f"ALTER DATABASE {database}_2 RENAME TO {database}")


async def test_probe_postgres_wrong_password_or_database_is_down(server: PostgresServer) -> None:
    result = await probe_target("postgres", server.url("vigilbase", password=PASSWORD))
    assert result.status == "down"
    assert "password authentication failed" in (result.error_message or "")
    assert PASSWORD not in str(result)
    result = await probe_target("postgres", server.url("nowhere"))
    assert 'database "nowhere" does not exist' in (result.error_message or "")


async def test_probe_postgres_connection_limit_is_down(server: PostgresServer, database: str) -> None:
    role = f"watcher_{database}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 0 PASSWORD {}").format(sql.Identifier(role), PASSWORD)
        )
    try:
        result = await probe_target("postgres", server.url(database, user=role, password=PASSWORD))
    finally:
        server.execute(f"DROP ROLE {role}")
    assert result.status == "down"
    assert "too many connections for role" in (result.error_message or "")


async def test_probe_postgres_self_queries_own_database(backend: Backend) -> None:
    result = await probe_target("postgres", "self")
    assert (result.status, result.error_message) == ("healthy", None)
    assert list(get_phases(result)) == ["query_ms"]
    assert list(get_details(result)) == ["phases"]
    await close_supabase_service_client()


async def test_probe_postgres_self_without_schema_advises_migrate(
    server: PostgresServer, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(empty_database))
    result = await probe_target("postgres", "self")
    assert result.status == "down"
    assert "run `vigilbase migrate`" in (result.error_message or "")
    await close_supabase_service_client()


async def test_probe_postgres_hanging_server_is_down_after_timeout() -> None:
    async with serving(silent) as port:
        result = await probe_target("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d", SHORT)
    assert (result.status, result.error_message) == ("down", f"{TIMED_OUT} (connecting)")
    require_timed_out(result)


async def test_probe_postgres_exhausted_pooler_is_down_after_timeout(pooler: str, database: str) -> None:
    url = f"{pooler}/{database}"
    with psycopg.connect(url, prepare_threshold=None) as first, psycopg.connect(url, prepare_threshold=None) as second:
        for connection in (first, second):  # all connections of the pooler
            connection.execute("SELECT 1")
        result = await probe_target("postgres", url, SHORT)
    assert (result.status, result.error_message) == (
        "down",
        f"{TIMED_OUT} (waiting for the answer to SELECT 1)",
    )
    require_timed_out(result)
    assert list(get_phases(result)) == ["connect_ms", "query_ms"]


async def test_probe_postgres_other_protocol_is_down_without_password() -> None:
    for answer in (hang_up, send_gibberish):
        async with serving(answer) as port:
            result = await probe_target("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
        assert result.status == "down"
        assert result.error_message
        assert PASSWORD not in str(result)


@pytest.mark.parametrize(
    ("host", "message"),
    [("127.0.0.1", "connection refused"), ("nowhere.invalid", "the host's name can't be resolved")],
)
async def test_probe_postgres_unreachable_host_is_down(host: str, message: str) -> None:
    result = await probe_target("postgres", f"postgresql://u:{PASSWORD}@{host}:{free_port()}/d")
    assert (result.status, result.error_message) == ("down", message)


async def test_probe_postgres_missing_socket_or_http_server_is_down(tmp_path: Path) -> None:
    result = await probe_target("postgres", f"postgresql://u:{PASSWORD}@/d?host={tmp_path}")
    assert (result.status, result.error_message) == ("down", "no server is listening on the socket")

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(speak_http) as port:
        result = await probe_target("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d", timeout=5)
    assert (result.status, result.error_message) == ("down", "the server is not Postgres")


async def test_probe_postgres_self_unreachable_names_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
    result = await probe_target("postgres", "self")
    await close_supabase_service_client()
    assert result.error_message == f"can't connect to 127.0.0.1:{port} (from DATABASE_URL): connection refused"


@pytest.mark.parametrize(
    "url",
    [
        "db.example.com:5432",
        f"mysql://u:{PASSWORD}@host/d",
        f"postgresql://u:{PASSWORD}@host:port/d",
        f"postgresql://u:{PASSWORD}@@host/d",
        f"postgresql://u:{PASSWORD}@host:0/d",
        f"postgresql://u:{PASSWORD} @host/d",
    ],
)
def test_postgres_target_invalid_url_is_rejected_without_quoting(url: str) -> None:
    with pytest.raises(ValidationError, match="must be self or a URL such as postgresql://USER:PASSWORD") as error:
        PROBES["postgres"].bind({"postgres": url}, 1)
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("name", ["unknown", "sslaccept", "sslidentity"])
def test_postgres_target_wrong_parameter_is_named_without_its_value(name: str) -> None:
    with pytest.raises(ValidationError, match=f'parameter "{name}"') as error:
        PROBES["postgres"].bind({"postgres": f"postgresql://u:{PASSWORD}@host/d?{name}={PASSWORD}"}, 1)
    assert PASSWORD not in str(error.value)


async def test_probe_postgres_url_of_application_is_healthy(server: PostgresServer) -> None:
    url = server.url().replace("postgresql://", "postgresql+asyncpg://")
    result = await probe_target("postgres", f"{url}?schema=public&pgbouncer=true&prepared_statement_cache_size=0")
    assert (result.status, result.error_message) == ("healthy", None)
