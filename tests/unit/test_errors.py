"""The conversion of the libraries' errors to ours is complete and reveals no secret."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import psycopg
import pytest
from postgrest import APIError
from psycopg import errors as pg

from vigilbase import errors
from vigilbase.channels.errors import PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.database import postgres, supabase
from vigilbase.database.connection_errors import ConnectionFailedError, ConnectionFailure
from vigilbase.database.row_security import HiddenRowsError
from vigilbase.errors import (
    AccessRefusedError,
    DatabaseError,
    DatabaseUnavailableError,
    InvalidInputError,
    MissingExtraError,
    MissingSchemaError,
    VigilbaseError,
)


def _list_subclasses(kind: type) -> list[type]:
    children: list[type] = kind.__subclasses__()
    return [kind, *(each for child in children for each in _list_subclasses(child))]


def test_errors_docstring_tree_lists_every_class() -> None:
    tree = inspect.getdoc(errors) or ""
    for kind in _list_subclasses(VigilbaseError):
        if kind.__module__ == "vigilbase.errors":
            assert kind.__name__ in tree


@pytest.mark.parametrize("kind", _list_subclasses(psycopg.Error), ids=lambda kind: kind.__name__)
def test_postgres_any_psycopg_error_becomes_database_error(kind: type[psycopg.Error]) -> None:
    ours = postgres.to_database_error("select from t", kind("the driver's message\nand its detail"))
    assert type(ours) in {DatabaseError, DatabaseUnavailableError, MissingSchemaError, AccessRefusedError}
    assert str(ours).startswith("select from t: the driver's message")
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
def test_postgres_psycopg_error_maps_to_matching_database_error(
    theirs: psycopg.Error, ours: type[DatabaseError]
) -> None:
    assert type(postgres.to_database_error("call f", theirs)) is ours


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
        ("521", "Web server is down", DatabaseUnavailableError),
        ("530", "The origin's name can't be resolved", DatabaseUnavailableError),
        ("540", "Project paused", DatabaseUnavailableError),
        ("23514", "violates check constraint", DatabaseError),
        ("SUP", "PostgresError: boom", DatabaseError),
        (None, None, DatabaseError),
    ],
)
def test_supabase_api_error_maps_to_matching_database_error(
    code: str | None, message: str | None, ours: type[DatabaseError]
) -> None:
    error = supabase.to_database_error(
        "call f", APIError({"code": code, "message": message, "details": "x", "hint": None})
    )
    assert type(error) is ours
    assert str(error).startswith("call f: ")


@pytest.mark.parametrize("kind", _list_subclasses(httpx.HTTPError), ids=lambda kind: kind.__name__)
async def test_supabase_any_httpx_error_becomes_database_unavailable(kind: type[httpx.HTTPError]) -> None:
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


def test_supabase_client_repr_hides_secret() -> None:
    assert "sb_secret_x" not in repr(supabase.SupabaseClient("http://127.0.0.1:1", "sb_secret_x"))


ERRORS = (
    InvalidInputError("limit", "must be 1 or more"),
    MissingExtraError("http services", "probes", "dns"),
    HiddenRowsError("reader"),
    ConnectionFailedError([ConnectionFailure("h:1", "connection refused")]),
    TemporaryDeliveryError("busy", timedelta(seconds=3)),
    PermanentDeliveryError("gone", is_channel_fault=False),
    AccessRefusedError("no"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_error_pickled_or_copied_is_the_same(
    error: VigilbaseError, duplicate: Callable[[VigilbaseError], VigilbaseError]
) -> None:
    other = duplicate(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
