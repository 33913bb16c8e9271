"""The probe `postgres` on real servers, through a real pooler, and on what only pretends to be one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import ValidationError

from tests.conftest import Backend
from tests.support.loopback import SHORT, details, gibberish, hang_up, look, phases, serving, silent
from tests.support.pooler import run_pooler
from tests.support.server import PostgresServer, free_port, home_folder
from vigilbase import close_supabase_service_client
from vigilbase.database.embedded import EmbeddedServer
from vigilbase.probes import KINDS

PASSWORD = "hunter2-hunter2"


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[str]:
    with home_folder() as folder, run_pooler(server, Path(folder)) as url:
        yield url


def _version(server: PostgresServer) -> str:
    [[version]] = server.execute("SHOW server_version")
    return str(version).split()[0]


async def test_postgres_is_healthy_when_it_answers_a_statement(server: PostgresServer) -> None:
    seen = await look("postgres", server.url())
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert details(seen) == {"server_version": _version(server), "phases": phases(seen)}
    assert list(phases(seen)) == ["connect_ms", "query_ms"]


async def test_postgres_through_a_pooler_in_transaction_mode_is_healthy(pooler: str, server: PostgresServer) -> None:
    for _ in range(5):
        seen = await look("postgres", f"{pooler}/vigilbase")
        assert (seen.status, seen.error_message) == ("healthy", None)
        assert details(seen)["server_version"] == _version(server)


async def test_a_standby_says_that_it_is_in_recovery(home: Path) -> None:
    embedded = EmbeddedServer(home)
    embedded.start()
    embedded.stop()
    (embedded.data / "standby.signal").touch()
    url = embedded.start()
    try:
        seen = await look("postgres", url)
    finally:
        embedded.stop()
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert details(seen)["in_recovery"] is True


async def test_postgres_leaves_no_connection_open(server: PostgresServer, database: str) -> None:
    for _ in range(3):
        assert (await look("postgres", server.url(database))).status == "healthy"
    server.execute(f"ALTER DATABASE {database} RENAME TO {database}_2")  # refused while somebody is connected
    server.execute(f"ALTER DATABASE {database}_2 RENAME TO {database}")


async def test_a_wrong_password_or_database_is_down_in_postgres_own_words(server: PostgresServer) -> None:
    seen = await look("postgres", server.url("vigilbase", password=PASSWORD))
    assert seen.status == "down"
    assert "password authentication failed" in (seen.error_message or "")
    assert PASSWORD not in str(seen)
    seen = await look("postgres", server.url("nowhere"))
    assert 'database "nowhere" does not exist' in (seen.error_message or "")


async def test_a_database_that_takes_no_more_connections_is_down(server: PostgresServer, database: str) -> None:
    role = f"watcher_{database}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 0 PASSWORD {}").format(sql.Identifier(role), PASSWORD)
        )
    try:
        seen = await look("postgres", server.url(database, user=role, password=PASSWORD))
    finally:
        server.execute(f"DROP ROLE {role}")
    assert seen.status == "down"
    assert "too many connections for role" in (seen.error_message or "")


async def test_self_is_vigilbases_own_database_over_its_transport(backend: Backend) -> None:
    seen = await look("postgres", "self")
    assert (seen.status, seen.error_message) == ("healthy", None)
    assert list(phases(seen)) == ["query_ms"]
    assert list(details(seen)) == ["phases"]
    await close_supabase_service_client()


async def test_self_without_its_schema_says_what_to_do(
    server: PostgresServer, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.url(empty_database))
    seen = await look("postgres", "self")
    assert seen.status == "down"
    assert "run `vigilbase migrate`" in (seen.error_message or "")
    await close_supabase_service_client()


async def test_a_server_that_hangs_is_down_when_the_time_is_over() -> None:
    async with serving(silent) as port:
        seen = await look("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d", SHORT)
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (connecting)")
    assert 300 <= seen.latency_ms < 2000


async def test_a_pooler_without_a_free_connection_is_down_when_the_time_is_over(pooler: str, database: str) -> None:
    url = f"{pooler}/{database}"
    with psycopg.connect(url, prepare_threshold=None) as one, psycopg.connect(url, prepare_threshold=None) as two:
        for connection in (one, two):  # all that the pooler has
            connection.execute("SELECT 1")
        seen = await look("postgres", url, SHORT)
    assert (seen.status, seen.error_message) == ("down", "no answer within 0.3 s (waiting for the answer to SELECT 1)")
    assert 300 <= seen.latency_ms < 2000
    assert list(phases(seen)) == ["connect_ms", "query_ms"]


async def test_what_hangs_up_or_is_no_postgres_is_down_without_the_password() -> None:
    for answer in (hang_up, gibberish):
        async with serving(answer) as port:
            seen = await look("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
        assert seen.status == "down"
        assert seen.error_message
        assert PASSWORD not in str(seen)


@pytest.mark.parametrize(
    ("host", "said"),
    [("127.0.0.1", "connection refused"), ("nowhere.invalid", "the host's name can't be resolved")],
)
async def test_a_host_that_cannot_be_reached_is_said_in_the_words_of_every_probe(host: str, said: str) -> None:
    seen = await look("postgres", f"postgresql://u:{PASSWORD}@{host}:{free_port()}/d")
    assert (seen.status, seen.error_message) == ("down", said)


async def test_a_socket_that_is_not_there_and_an_answer_that_is_not_postgres_are_said_so(tmp_path: Path) -> None:
    seen = await look("postgres", f"postgresql://u:{PASSWORD}@/d?host={tmp_path}")
    assert (seen.status, seen.error_message) == ("down", "nobody listens on the socket")

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with serving(speak_http) as port:
        seen = await look("postgres", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d", timeout=5)
    assert (seen.status, seen.error_message) == ("down", "what answers is no Postgres")


async def test_vigilbases_own_database_that_is_away_is_said_without_a_function_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:{port}/d")
    seen = await look("postgres", "self")
    await close_supabase_service_client()
    assert seen.error_message == f"can't connect to 127.0.0.1:{port} (from DATABASE_URL): connection refused"


@pytest.mark.parametrize(
    "url",
    [
        "db.example.com:5432",
        f"mysql://u:{PASSWORD}@host/d",
        f"postgresql://u:{PASSWORD}@host:port/d",
        f"postgresql://u:{PASSWORD}@@host/d",
        f"postgresql://u:{PASSWORD}@host/d?unknown=1",
        f"postgresql://u:{PASSWORD} @host/d",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(ValidationError, match="must be self or a URL such as postgresql://USER:PASSWORD") as error:
        KINDS["postgres"].bind({"postgres": url}, 1)
    assert PASSWORD not in str(error.value)
