"""Both transports retry a transaction that conflicts with another one, at once and at most three times."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.support.loopback import http_answer, serving
from tests.support.postgres_client import open_client
from tests.support.server import PostgresServer
from vigilbase.database.client import ServiceClient, Where
from vigilbase.database.supabase import SupabaseClient
from vigilbase.errors import DatabaseError, DatabaseUnavailableError

CONFLICTS = ("40001", "40P01")
STATEMENTS = """
    CREATE TABLE notes (id integer PRIMARY KEY, count integer NOT NULL DEFAULT 0);
    CREATE SEQUENCE attempts; -- counts attempts that are rolled back, too
    CREATE FUNCTION fail(p_times integer, p_code text, p_sleep float DEFAULT 0) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO notes VALUES (1);
        PERFORM pg_sleep(p_sleep);
        IF nextval('attempts') <= p_times THEN
            RAISE EXCEPTION 'conflict with another one' USING ERRCODE = p_code;
        END IF;
        RETURN currval('attempts');
    END $$;
    CREATE FUNCTION change(p_first integer, p_second integer) RETURNS integer LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('attempts');
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


def count_attempts(server: PostgresServer, database: str) -> object:
    [[count]] = server.execute("SELECT last_value FROM attempts", database)
    return count


@pytest.mark.parametrize("code", CONFLICTS)
@pytest.mark.parametrize("conflicts", [0, 1, 3])
async def test_postgres_conflict_is_retried_with_one_effect(
    server: PostgresServer, empty_database: str, url: str, code: str, conflicts: int
) -> None:
    async with open_client(url) as client:
        assert await client.call("fail", {"p_times": conflicts, "p_code": code}) == conflicts + 1
    assert server.execute("SELECT id FROM notes", empty_database) == [(1,)]


@pytest.mark.parametrize("code", CONFLICTS)
async def test_postgres_endless_conflict_fails_after_three_retries(
    server: PostgresServer, empty_database: str, url: str, code: str
) -> None:
    async with open_client(url) as client:
        with pytest.raises(DatabaseUnavailableError, match="call fail: conflict with another one"):
            await client.call("fail", {"p_times": 1000, "p_code": code})
        assert await client.select("notes") == []
    assert count_attempts(server, empty_database) == 4


@pytest.mark.parametrize("code", ["40002", "23505", "55P03", "57014"])
async def test_postgres_other_error_is_not_retried(
    server: PostgresServer, empty_database: str, url: str, code: str
) -> None:
    async with open_client(url) as client:
        with pytest.raises(DatabaseError, match="conflict with another one"):
            await client.call("fail", {"p_times": 1000, "p_code": code})
    assert count_attempts(server, empty_database) == 1


async def test_postgres_deadlock_both_calls_succeed(server: PostgresServer, empty_database: str, url: str) -> None:
    server.execute("INSERT INTO notes VALUES (1), (2)", empty_database)
    async with open_client(url, pool_size=2) as client:
        await asyncio.gather(
            client.call("change", {"p_first": 1, "p_second": 2}), client.call("change", {"p_first": 2, "p_second": 1})
        )
    assert server.execute("SELECT count FROM notes", empty_database) == [(2,), (2,)]
    assert count_attempts(server, empty_database) == 3


async def test_postgres_retries_share_one_timeout(server: PostgresServer, empty_database: str, url: str) -> None:
    async with open_client(url, timeout=1) as client:
        with pytest.raises(DatabaseUnavailableError, match="no answer within 1 s"):
            await client.call("fail", {"p_times": 1000, "p_code": "40001", "p_sleep": 0.6})
    # An attempt that is cut off doesn't count. With a time limit for each, there would be four.
    assert count_attempts(server, empty_database) == 1


VERBS: dict[str, tuple[Callable[[ServiceClient], Awaitable[object]], str]] = {
    "insert": (lambda client: client.insert("notes", [{"id": 1}]), "POST /rest/v1/notes"),
    "select": (lambda client: client.select("notes"), "GET /rest/v1/notes"),
    "update": (lambda client: client.update("notes", {"count": 1}, [Where("id", "eq", 1)]), "PATCH /rest/v1/notes"),
    "delete": (lambda client: client.delete("notes", [Where("id", "eq", 1)]), "DELETE /rest/v1/notes"),
    "call": (lambda client: client.call("change", {"p_first": 1}), "POST /rest/v1/rpc/change"),
}


async def run_verb(
    do: Callable[[ServiceClient], Awaitable[object]],
    status: str,
    code: str,
    times: int,
    *,
    delay: float = 0,
    timeout: float = 60,
) -> tuple[object, list[bytes]]:
    """The result of a verb at a Data API that fails the first `times` requests, and all requests."""
    requests: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        failure = json.dumps({"code": code, "message": "conflict with another one", "details": None, "hint": None})
        head, body = (status, failure) if len(requests) < times else ("200 OK\r\ncontent-range: */1", '[{"id": 1}]')
        headers = f"{head}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        await http_answer(headers, body.encode(), requests)(reader, writer)

    async with serving(answer) as port:
        client = SupabaseClient(f"http://127.0.0.1:{port}", "sb_secret_for_a_test", timeout=timeout)
        try:
            return await do(client), requests
        except DatabaseError as error:
            return error, requests
        finally:
            await client.aclose()


@pytest.mark.parametrize("verb", VERBS)
async def test_supabase_conflict_is_retried_with_same_request(verb: str) -> None:
    do, line = VERBS[verb]
    answer, requests = await run_verb(do, "409 Conflict", "40001", 2)
    assert answer == (1 if verb == "delete" else [{"id": 1}])
    assert len(requests) == 3
    assert requests[0].decode().startswith(line)
    assert len(set(requests)) == 1


@pytest.mark.parametrize("code", CONFLICTS)
@pytest.mark.parametrize("status", ["409 Conflict", "400 Bad Request", "500 Internal Server Error"])
async def test_supabase_endless_conflict_fails_after_three_retries(status: str, code: str) -> None:
    error, requests = await run_verb(VERBS["call"][0], status, code, 1000)
    assert isinstance(error, DatabaseUnavailableError)
    assert str(error) == "call change: conflict with another one"
    assert len(requests) == 4


@pytest.mark.parametrize("code", ["23505", "40002", "PGRST003", "57014"])
async def test_supabase_other_error_is_not_retried(code: str) -> None:
    error, requests = await run_verb(VERBS["call"][0], "500 Internal Server Error", code, 1000)
    assert isinstance(error, DatabaseError)
    assert len(requests) == 1


async def test_supabase_retries_share_one_timeout() -> None:
    error, requests = await run_verb(VERBS["call"][0], "409 Conflict", "40001", 1000, delay=0.6, timeout=1)
    assert str(error) == "call change: no answer within 1 s"
    # A request that is cut off doesn't count. With a time limit for each, there would be four.
    assert len(requests) <= 1
