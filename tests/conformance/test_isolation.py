"""Each statement over a Postgres connection is a transaction under READ COMMITTED, in one round trip."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest

from tests.support.loopback import serving
from tests.support.postgres_client import open_client
from tests.support.server import PostgresServer
from tests.support.waiting import wait_until_async
from vigilbase.database.client import Where
from vigilbase.database.postgres import PostgresClient
from vigilbase.errors import DatabaseError, DatabaseUnavailableError

SERIALIZABLE = "-c default_transaction_isolation=serializable"
STATEMENTS = """
    CREATE TABLE notes (id integer CONSTRAINT once UNIQUE DEFERRABLE INITIALLY DEFERRED, text text);
    CREATE FUNCTION require_read_committed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        ASSERT current_setting('transaction_isolation') = 'read committed', current_setting('transaction_isolation');
        RETURN NULL;
    END $$;
    CREATE TRIGGER isolation BEFORE INSERT OR UPDATE OR DELETE ON notes EXECUTE FUNCTION require_read_committed();
    CREATE VIEW session AS SELECT current_setting('transaction_isolation') AS isolation;
    CREATE FUNCTION isolation() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('transaction_isolation') $$;
    CREATE FUNCTION backend() RETURNS integer LANGUAGE sql AS $$ SELECT pg_backend_pid() $$;
    CREATE FUNCTION echo(p_text text) RETURNS text LANGUAGE sql AS $$ SELECT p_text $$;
    CREATE FUNCTION sleep(p_seconds float) RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(p_seconds)::text $$;
    CREATE FUNCTION insert_and_fail() RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO notes VALUES (1, 'half');
        RETURN 1 / 0;
    END $$;
"""


@pytest.fixture
def url(server: PostgresServer, empty_database: str) -> str:
    server.execute(STATEMENTS, empty_database)
    return server.url(empty_database)


@pytest.fixture(params=["the database's", "PGOPTIONS", "the URL's"])
def serializable_url(
    request: pytest.FixtureRequest,
    server: PostgresServer,
    empty_database: str,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """The same with another default isolation level."""
    if request.param == "the database's":
        server.execute(f"ALTER DATABASE {empty_database} SET default_transaction_isolation = 'serializable'")
    if request.param == "PGOPTIONS":
        monkeypatch.setenv("PGOPTIONS", SERIALIZABLE)
    return f"{url}?options={quote(SERIALIZABLE)}" if request.param == "the URL's" else url


async def test_client_serializable_default_uses_read_committed(serializable_url: str) -> None:
    async with open_client(serializable_url) as client:
        assert await client.call("isolation") == "read committed"
        assert await client.select("session") == [{"isolation": "read committed"}]
        assert await client.insert("notes", [{"id": 1, "text": "a"}]) == [{"id": 1, "text": "a"}]
        assert await client.update("notes", {"text": "b"}, [Where("id", "eq", 1)]) == [{"id": 1, "text": "b"}]
        assert await client.delete("notes", [Where("id", "eq", 1)]) == 1


async def test_call_takes_one_round_trip(server: PostgresServer, empty_database: str, url: str) -> None:
    senders: list[str] = []
    async with run_relay(server.port, senders) as port:
        relay_url = url.replace(f":{server.port}/", f":{port}/") + "?sslmode=disable"
        async with open_client(relay_url) as client:
            await client.call("isolation")
            senders.clear()
            assert await client.call("isolation") == "read committed"
            assert senders == ["client", "server"]
            senders.clear()
            with pytest.raises(DatabaseError, match="division by zero"):
                await client.call("insert_and_fail")
            assert senders == ["client", "server"]


@asynccontextmanager
async def run_relay(port: int, senders: list[str]) -> AsyncIterator[int]:
    """Relay to the server and record the alternating senders. The delay joins data that is sent together."""

    async def forward(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await asyncio.sleep(0.05 if name == "server" else 0)
            if senders[-1:] != [name]:
                senders.append(name)
            writer.write(data)
        writer.close()  # ends the other direction, too

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(forward("client", reader, server_writer), forward("server", server_reader, writer))
        finally:
            server_writer.close()
            await server_writer.wait_closed()

    async with serving(connect) as relay_port:
        yield relay_port


FAILURES: dict[str, tuple[Callable[[PostgresClient], Awaitable[object]], str]] = {
    "unknown function": (lambda client: client.call("nothing"), "does not exist"),
    "failing function": (lambda client: client.call("insert_and_fail"), "division by zero"),
    "failing commit": (lambda client: client.insert("notes", [{"id": 1}, {"id": 1}]), "unique constraint"),
    "wrong value": (lambda client: client.insert("notes", [{"id": "x"}]), "invalid input syntax"),
    "lone surrogate": (lambda client: client.call("echo", {"p_text": "\ud800"}), "a text can't be sent"),
    "zero byte": (lambda client: client.call("echo", {"p_text": "\0"}), "NUL"),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_client_failed_statement_is_rolled_back_and_connection_is_reused(
    url: str, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    fail, message = FAILURES[failure]
    async with open_client(url) as client:
        backend = await client.call("backend")
        for _ in range(20):  # the error may arrive before or after the client has sent everything
            with pytest.raises(DatabaseError, match=message):
                await fail(client)
        assert await client.select("notes") == []
        assert await client.call("backend") == backend
    assert caplog.records == []


async def test_call_timeout_cancels_statement_and_frees_connection(
    server: PostgresServer, empty_database: str, url: str
) -> None:
    async with open_client(url, timeout=2) as client:
        with pytest.raises(DatabaseUnavailableError, match=r"no answer within 2 s"):
            await client.call("sleep", {"p_seconds": 60})
        assert await client.call("isolation") == "read committed"
        states = f"SELECT state FROM pg_stat_activity WHERE datname = '{empty_database}'"
        assert server.execute(states, "postgres") == [("idle",)]


@pytest.mark.parametrize("busy", [True, False])
async def test_client_terminated_connection_error_has_server_reason(
    server: PostgresServer, empty_database: str, url: str, caplog: pytest.LogCaptureFixture, busy: bool
) -> None:
    async with open_client(url) as client:
        await client.call("isolation")
        call = asyncio.ensure_future(client.call("sleep", {"p_seconds": 60})) if busy else None
        state = f"SELECT state FROM pg_stat_activity WHERE datname = '{empty_database}'"
        expected = [("active" if busy else "idle",)]
        await wait_until_async(lambda: server.execute(state, "postgres"), lambda rows: rows == expected)
        server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{empty_database}'", "postgres"
        )
        if call:
            with pytest.raises(DatabaseUnavailableError, match="call sleep: terminating connection"):
                await call
        else:
            await asyncio.sleep(0.2)
            try:
                await client.call("isolation")
            except DatabaseUnavailableError as error:
                assert "terminating connection" in str(error)  # noqa: PT017 (the pool may notice first and reconnect)
        assert await client.call("isolation") == "read committed"
    assert caplog.records == []


async def test_call_large_argument_and_answer_succeed(url: str) -> None:
    text = "€" * 5_000_000
    async with open_client(url) as client:
        assert await client.call("echo", {"p_text": text}) == text
