"""The maps from the libraries' errors to ours are complete, and carry no secret."""

import inspect
import re

import httpx
import psycopg
import pytest
from postgrest import APIError
from psycopg import errors as pg

from vigilbase import errors
from vigilbase.database import postgres, supabase
from vigilbase.errors import (
    AccessRefusedError,
    DatabaseError,
    DatabaseUnavailableError,
    MissingSchemaError,
    VigilbaseError,
)


def _subclasses(kind: type) -> list[type]:
    children: list[type] = kind.__subclasses__()
    return [kind, *(found for child in children for found in _subclasses(child))]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = inspect.getdoc(errors) or ""
    for kind in _subclasses(VigilbaseError):
        if kind.__module__ == "vigilbase.errors":
            assert kind.__name__ in drawn


@pytest.mark.parametrize("kind", _subclasses(psycopg.Error), ids=lambda kind: kind.__name__)
def test_every_error_of_psycopg_becomes_one_of_ours(kind: type[psycopg.Error]) -> None:
    ours = postgres.domain_error("select from t", kind("what the driver says\nand more of it"))
    assert type(ours) in {DatabaseError, DatabaseUnavailableError, MissingSchemaError, AccessRefusedError}
    assert str(ours).startswith("select from t: what the driver says")
    assert "\n" not in str(ours)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (pg.UndefinedTable("x"), MissingSchemaError),
        (pg.UndefinedFunction("x"), MissingSchemaError),
        (pg.InsufficientPrivilege("x"), AccessRefusedError),
        (pg.AdminShutdown("x"), DatabaseUnavailableError),
        (pg.QueryCanceled("x"), DatabaseUnavailableError),
        (pg.TooManyConnections("x"), DatabaseUnavailableError),
        (pg.DeadlockDetected("x"), DatabaseUnavailableError),
        (pg.ReadOnlySqlTransaction("x"), DatabaseUnavailableError),
        (pg.CheckViolation("x"), DatabaseError),
        (pg.StringDataRightTruncation("x"), DatabaseError),
    ],
)
def test_the_kind_of_an_error_of_psycopg_is_kept(theirs: psycopg.Error, ours: type[DatabaseError]) -> None:
    assert type(postgres.domain_error("call f", theirs)) is ours


@pytest.mark.parametrize(
    ("code", "message", "ours"),
    [
        ("PGRST202", "Could not find the function", MissingSchemaError),
        ("PGRST205", "Could not find the table", MissingSchemaError),
        ("42P01", 'relation "t" does not exist', MissingSchemaError),
        (None, "Invalid API key", AccessRefusedError),
        ("PGRST301", "JWT expired", AccessRefusedError),
        ("42501", "permission denied for table t", AccessRefusedError),
        ("PGRST002", "Could not query the database for the schema cache", DatabaseUnavailableError),
        ("57014", "canceling statement due to statement timeout", DatabaseUnavailableError),
        ("53300", "too many connections", DatabaseUnavailableError),
        ("40P01", "deadlock detected", DatabaseUnavailableError),
        ("25006", "cannot execute INSERT in a read-only transaction", DatabaseUnavailableError),
        ("503", "Service Unavailable", DatabaseUnavailableError),
        ("23514", "violates check constraint", DatabaseError),
        ("SUP", "PostgresError: boom", DatabaseError),
        (None, None, DatabaseError),
    ],
)
def test_the_kind_of_an_error_of_the_data_api_is_kept(
    code: str | None, message: str | None, ours: type[DatabaseError]
) -> None:
    error = supabase.domain_error("call f", APIError({"code": code, "message": message, "details": "x", "hint": None}))
    assert type(error) is ours
    assert str(error).startswith("call f: ")


@pytest.mark.parametrize("kind", _subclasses(httpx.HTTPError), ids=lambda kind: kind.__name__)
async def test_every_error_of_httpx_becomes_one_of_ours(kind: type[httpx.HTTPError]) -> None:
    client = supabase.SupabaseClient("http://127.0.0.1:1", "sb_secret_x")

    async def fail() -> None:
        if issubclass(kind, httpx.HTTPStatusError):
            raise kind("it failed", request=httpx.Request("GET", "http://h/"), response=httpx.Response(500))
        raise kind("it failed")

    attempt = "can't connect to 127.0.0.1:1 (from SUPABASE_URL): " if kind is httpx.ConnectError else "call f: "
    with pytest.raises(DatabaseUnavailableError, match=re.escape(attempt)) as caught:
        await client._within("call f", fail())
    assert isinstance(caught.value.__cause__, kind)
    await client.aclose()


def test_clients_show_no_secret() -> None:
    assert "sb_secret_x" not in repr(supabase.SupabaseClient("http://127.0.0.1:1", "sb_secret_x"))
