"""Text arrives unchanged whatever encoding a connection's environment requests, or is rejected with a clear error."""

from collections.abc import Iterator
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.support.postgres_client import open_client
from tests.support.server import PostgresServer
from vigilbase.database.client import Row
from vigilbase.errors import DatabaseError

TEXT = "Preis: 5 € ☃ 価格 é"
STATEMENTS = """
    CREATE TABLE notes (text text, details jsonb);
    CREATE FUNCTION echo(p_text text) RETURNS text LANGUAGE sql AS $$ SELECT p_text $$;
    CREATE FUNCTION client_encoding() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('client_encoding') $$;
"""


@pytest.fixture(
    params=["PGCLIENTENCODING", "PGOPTIONS", "URL", "URL's options", "role", "database", "role in database"]
)
def latin1_url(
    request: pytest.FixtureRequest, server: PostgresServer, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of a UTF-8 database for which some setting requests the client encoding LATIN1."""
    server.execute(STATEMENTS, empty_database)
    role, source = f"role_{uuid4().hex[:12]}", request.param
    server.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{server.password}'", empty_database)
    url, options = server.url(empty_database, user=role), "-c client_encoding=latin1"
    if source == "PGCLIENTENCODING":
        monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    if source == "PGOPTIONS":
        monkeypatch.setenv("PGOPTIONS", options)
    targets = {"role": role, "role in database": f"{role} IN DATABASE {empty_database}"}
    if source in targets:
        server.execute(f"ALTER ROLE {targets[source]} SET client_encoding = 'latin1'", empty_database)
    if source == "database":
        server.execute(f"ALTER DATABASE {empty_database} SET client_encoding = 'latin1'", empty_database)
    queries = {"URL": "?client_encoding=latin1", "URL's options": f"?options={quote(options)}"}
    yield url + queries.get(source, "")
    server.drop_database(empty_database)
    server.execute(f"DROP ROLE {role}", "postgres")


async def test_connection_other_client_encoding_configured_uses_utf8(latin1_url: str) -> None:
    async with open_client(latin1_url) as client:
        assert await client.call("client_encoding") == "UTF8"
        assert await client.call("echo", {"p_text": TEXT}) == TEXT
        row: Row = {"text": TEXT, "details": {TEXT: TEXT}}
        assert await client.insert("notes", [row]) == [row]
        assert await client.select("notes") == [row]


@pytest.fixture
def encoded_database_url(request: pytest.FixtureRequest, server: PostgresServer) -> Iterator[str]:
    """The URL of a database with the encoding of the parameter."""
    name = f"test_{uuid4().hex[:12]}"
    server.execute(
        f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'"
    )
    server.execute(STATEMENTS, name)
    yield server.url(name)
    server.drop_database(name)


@pytest.mark.parametrize("encoded_database_url", ["LATIN1"], indirect=True)
async def test_client_text_outside_server_encoding_is_rejected_with_server_error(encoded_database_url: str) -> None:
    error = r'character with byte sequence 0xe2 0x82 0xac in encoding "UTF8" has no equivalent in encoding "LATIN1"'
    async with open_client(encoded_database_url) as client:
        with pytest.raises(DatabaseError, match=f"call echo: {error}") as caught:
            await client.call("echo", {"p_text": "5 €"})
        assert type(caught.value) is DatabaseError
        with pytest.raises(DatabaseError, match=f"insert into notes: {error}"):
            await client.insert("notes", [{"text": "5 €"}])
        with pytest.raises(DatabaseError, match=f"insert into notes: {error}"):
            await client.insert("notes", [{"details": {"price": "5 €"}}])
        assert await client.select("notes") == []


@pytest.mark.parametrize(
    ("encoded_database_url", "text"),
    [("LATIN1", "Größe é"), ("SQL_ASCII", TEXT), ("LATIN9", "5 €")],
    indirect=["encoded_database_url"],
)
async def test_client_text_within_server_encoding_is_returned_unchanged(encoded_database_url: str, text: str) -> None:
    async with open_client(encoded_database_url) as client:
        assert await client.call("echo", {"p_text": text}) == text
        row: Row = {"text": text, "details": {text: [text]}}
        await client.insert("notes", [row])
        assert await client.select("notes") == [row]


async def test_call_lone_surrogate_error_says_text_cannot_be_sent(server: PostgresServer, empty_database: str) -> None:
    server.execute(STATEMENTS, empty_database)
    async with open_client(server.url(empty_database)) as client:
        with pytest.raises(DatabaseError, match=r"call echo: a text can't be sent: surrogates not allowed"):
            await client.call("echo", {"p_text": "\ud800"})
