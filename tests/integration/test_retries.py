"""A transaction that conflicts with another one is run again, at once and three times at most, on both transports."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from tests.support.loopback import http_answer, serving
from tests.support.postgres_client import client_of
from tests.support.server import PostgresServer
from vigilbase.database.client import ServiceClient, Where
from vigilbase.database.supabase import SupabaseClient
from vigilbase.errors import DatabaseError, DatabaseUnavailableError

CONFLICTS = ("40001", "40P01")
STATEMENTS = """
    CREATE TABLE notes (id integer PRIMARY KEY, count integer NOT NULL DEFAULT 0);
    CREATE SEQUENCE tries; -- counts what is rolled back, too
    CREATE FUNCTION fail(p_times integer, p_code text, p_sleep float DEFAULT 0) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO notes VALUES (1);
        PERFORM pg_sleep(p_sleep);
        IF nextval('tries') <= p_times THEN
            RAISE EXCEPTION 'another one came first' USING ERRCODE = p_code;
        END IF;
        RETURN currval('tries');
    END $$;
    CREATE FUNCTION change(p_first integer, p_second integer) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('tries');
        UPDATE notes SET count = count + 1 WHERE id = p_first;
        PERFORM pg_sleep(0.3);
        UPDATE notes SET count = count + 1 WHERE id = p_second;
        RETURN 0;
    END $$;
"""


@pytest.fixture
def url(server: PostgresServer, empty_database: str) -> str:
    server.execute(STATEMENTS, empty_database)
    return server.url(empty_database)


def tries(server: PostgresServer, database: str) -> object:
    [[count]] = server.execute("SELECT last_value FROM tries", database)
    return count


@pytest.mark.parametrize("code", CONFLICTS)
@pytest.mark.parametrize("conflicts", [0, 1, 3])
async def test_a_conflict_over_postgres_is_retried_and_nothing_is_done_twice(
    server: PostgresServer, empty_database: str, url: str, code: str, conflicts: int
) -> None:
    async with client_of(url) as client:
        assert await client.call("fail", {"p_times": conflicts, "p_code": code}) == conflicts + 1
    assert server.execute("SELECT id FROM notes", empty_database) == [(1,)]


@pytest.mark.parametrize("code", CONFLICTS)
async def test_a_conflict_over_postgres_that_does_not_end_is_an_error_after_three_retries(
    server: PostgresServer, empty_database: str, url: str, code: str
) -> None:
    async with client_of(url) as client:
        with pytest.raises(DatabaseUnavailableError, match="call fail: another one came first"):
            await client.call("fail", {"p_times": 1000, "p_code": code})
        assert await client.select("notes") == []
    assert tries(server, empty_database) == 4


@pytest.mark.parametrize("code", ["40002", "23505", "55P03", "57014"])
async def test_another_error_over_postgres_is_not_retried(
    server: PostgresServer, empty_database: str, url: str, code: str
) -> None:
    async with client_of(url) as client:
        with pytest.raises(DatabaseError, match="another one came first"):
            await client.call("fail", {"p_times": 1000, "p_code": code})
    assert tries(server, empty_database) == 1


async def test_of_two_in_a_deadlock_both_succeed(server: PostgresServer, empty_database: str, url: str) -> None:
    server.execute("INSERT INTO notes VALUES (1), (2)", empty_database)
    async with client_of(url, pool_size=2) as client:
        await asyncio.gather(
            client.call("change", {"p_first": 1, "p_second": 2}), client.call("change", {"p_first": 2, "p_second": 1})
        )
    assert server.execute("SELECT count FROM notes", empty_database) == [(2,), (2,)]
    assert tries(server, empty_database) == 3


async def test_retries_over_postgres_share_one_time_limit(url: str) -> None:
    async with client_of(url, timeout=1) as client:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="no answer within 1 s"):
            await client.call("fail", {"p_times": 1000, "p_code": "40001", "p_sleep": 0.6})
        assert time.monotonic() - began < 2.4


VERBS: dict[str, tuple[Callable[[ServiceClient], Awaitable[object]], str]] = {
    "insert": (lambda client: client.insert("notes", [{"id": 1}]), "POST /rest/v1/notes"),
    "select": (lambda client: client.select("notes"), "GET /rest/v1/notes"),
    "update": (lambda client: client.update("notes", {"count": 1}, [Where("id", "eq", 1)]), "PATCH /rest/v1/notes"),
    "delete": (lambda client: client.delete("notes", [Where("id", "eq", 1)]), "DELETE /rest/v1/notes"),
    "call": (lambda client: client.call("change", {"p_first": 1}), "POST /rest/v1/rpc/change"),
}


async def outcome(
    do: Callable[[ServiceClient], Awaitable[object]], status: str, code: str, times: int, delay: float = 0
) -> tuple[object, list[bytes]]:
    """What comes of it at a Data API that fails so many times, and the requests that it heard."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        failure = json.dumps({"code": code, "message": "another one came first", "details": None, "hint": None})
        head, body = (status, failure) if len(heard) < times else ("200 OK\r\ncontent-range: */1", '[{"id": 1}]')
        headers = f"{head}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        await http_answer(headers, body.encode(), heard)(reader, writer)

    async with serving(answer) as port:
        client = SupabaseClient(f"http://127.0.0.1:{port}", "sb_secret_for_a_test", timeout=1)
        try:
            return await do(client), heard
        except DatabaseError as error:
            return error, heard
        finally:
            await client.aclose()


@pytest.mark.parametrize("verb", VERBS)
async def test_a_conflict_over_the_data_api_is_retried_with_the_same_request(verb: str) -> None:
    do, line = VERBS[verb]
    answer, heard = await outcome(do, "409 Conflict", "40001", 2)
    assert answer == (1 if verb == "delete" else [{"id": 1}])
    assert len(heard) == 3
    assert heard[0].decode().startswith(line)
    assert len(set(heard)) == 1


@pytest.mark.parametrize("code", CONFLICTS)
@pytest.mark.parametrize("status", ["409 Conflict", "400 Bad Request", "500 Internal Server Error"])
async def test_a_conflict_over_the_data_api_that_does_not_end_is_an_error_after_three_retries(
    status: str, code: str
) -> None:
    error, heard = await outcome(VERBS["call"][0], status, code, 1000)
    assert isinstance(error, DatabaseUnavailableError)
    assert str(error) == "call change: another one came first"
    assert len(heard) == 4


@pytest.mark.parametrize("code", ["23505", "40002", "PGRST003", "57014"])
async def test_another_error_over_the_data_api_is_not_retried(code: str) -> None:
    error, heard = await outcome(VERBS["call"][0], "500 Internal Server Error", code, 1000)
    assert isinstance(error, DatabaseError)
    assert len(heard) == 1


async def test_retries_over_the_data_api_share_one_time_limit() -> None:
    began = time.monotonic()
    error, heard = await outcome(VERBS["call"][0], "409 Conflict", "40001", 1000, delay=0.6)
    assert str(error) == "call change: no answer within 1 s"
    assert len(heard) == 1
    assert time.monotonic() - began < 2
