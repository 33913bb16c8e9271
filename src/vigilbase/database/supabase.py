"""The service client over postgrest-py, the part of supabase-py that speaks to a project's Data API.

Each verb is one HTTP request and one transaction. We set the timeouts, and retry only transactions that conflict with
another one; the caller decides about all other errors.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, Self, TypeVar, cast
from urllib.parse import urlsplit

import httpx
from postgrest import DEFAULT_POSTGREST_CLIENT_HEADERS, APIError, APIResponse, AsyncPostgrestClient
from postgrest.types import CountMethod, ReturnMethod

from vigilbase.database.client import (
    MAX_ROWS,
    Answer,
    Order,
    Row,
    Value,
    Where,
    require_limit,
    require_where,
    retry_conflicts,
)
from vigilbase.database.json_codec import revive, to_json
from vigilbase.domain import JSON
from vigilbase.errors import AccessRefusedError, DatabaseError, DatabaseUnavailableError, MissingSchemaError

# PostgREST's own codes (https://docs.postgrest.org/en/stable/references/errors.html) and SQLSTATEs of the same meaning.
_MISSING = {"PGRST202", "PGRST205", "42P01", "42883"}
# 520 to 530 are Cloudflare's, for an origin that doesn't answer properly; 540 is Supabase's, for a paused project.
_CLOUDFLARE = {"520", "521", "522", "523", "524", "525", "526", "530"}
_NO_ANSWER = {"PGRST000", "PGRST001", "PGRST002", "PGRST003", "429", "500", "502", "503", "504", "540"} | _CLOUDFLARE
# read_only_sql_transaction: temporary, for example during a failover, so it must not cost any checks.
_READ_ONLY = "25006"
# The codes of PostgREST and the gateway for a key that isn't the project's.
_REJECTED_KEY = {"PGRST301", "PGRST302", "PGRST303", "401"}
# SQLSTATE classes: connection, rollback, resources, operator intervention, system (Postgres, appendix A).
_NO_ANSWER_CLASSES = ("08", "40", "53", "57", "58")


class _Filterable(Protocol):
    @property
    def not_(self) -> Self: ...
    def eq(self, column: str, value: object) -> Self: ...
    def neq(self, column: str, value: object) -> Self: ...
    def lt(self, column: str, value: object) -> Self: ...
    def lte(self, column: str, value: object) -> Self: ...
    def gt(self, column: str, value: object) -> Self: ...
    def gte(self, column: str, value: object) -> Self: ...
    def is_(self, column: str, value: None) -> Self: ...


Request = TypeVar("Request", bound=_Filterable)


class SupabaseClient:
    """A `ServiceClient` over the Data API at `url`, with a secret or service_role key.

    `timeout`: seconds for a call, including retries.
    """

    def __init__(self, url: str, key: str, *, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._host = urlsplit(url).netloc
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(timeout), follow_redirects=False)
        self._client = AsyncPostgrestClient(
            f"{url.rstrip('/')}/rest/v1",
            headers={**DEFAULT_POSTGREST_CLIENT_HEADERS, "apikey": key, "authorization": f"Bearer {key}"},
            http_client=self._http,
            # The library's own retries pause for seconds, which would use up `timeout`.
            retry_enabled=False,
        )

    async def insert(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """See `ServiceClient.insert`."""
        if not rows:
            return []
        request = self._client.table(table).insert([_encode_row(row) for row in rows])
        return _rows(f"insert into {table}", await self._send(f"insert into {table}", request.execute))

    async def select(
        self, table: str, where: Sequence[Where] = (), order: Sequence[Order] = (), limit: int = MAX_ROWS
    ) -> list[Row]:
        """See `ServiceClient.select`."""
        require_limit(limit)
        request = _apply_filters(self._client.table(table).select("*"), where)
        for by in order:
            request = request.order(by.column, desc=by.descending, nullsfirst=False)
        attempt = f"select from {table}"
        return _rows(attempt, await self._send(attempt, request.limit(limit).execute))

    async def update(self, table: str, values: Row, where: Sequence[Where]) -> list[Row]:
        """See `ServiceClient.update`."""
        require_where(where)
        request = _apply_filters(self._client.table(table).update(_encode_row(values)), where)
        return _rows(f"update {table}", await self._send(f"update {table}", request.execute))

    async def delete(self, table: str, where: Sequence[Where]) -> int:
        """See `ServiceClient.delete`."""
        require_where(where)
        attempt = f"deleting from {table}"
        # The server counts the rows, because it would truncate a list of them.
        request = self._client.table(table).delete(count=CountMethod.exact, returning=ReturnMethod.minimal)
        answer = await self._send(attempt, _apply_filters(request, where).execute)
        if answer.count is None:
            raise DatabaseError(f"{attempt}: the Data API did not return the number of deleted rows")
        return answer.count

    async def call(self, function: str, arguments: Mapping[str, Value] | None = None) -> JSON:
        """See `ServiceClient.call`."""
        # The library's annotation is too narrow: it sends any JSON.
        request = self._client.rpc(function, cast("dict[str, str]", _encode_row(arguments or {})))
        answer = await self._send(f"call {function}", request.execute)
        return answer.data

    async def aclose(self) -> None:
        """See `ServiceClient.aclose`."""
        await self._http.aclose()

    async def _send(self, attempt: str, request: Callable[[], Awaitable[Answer]]) -> Answer:
        return await self._within(attempt, retry_conflicts(request, _sqlstate))

    async def _within(self, attempt: str, request: Awaitable[Answer]) -> Answer:
        try:
            async with asyncio.timeout(self._timeout):
                return await request
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DatabaseUnavailableError(f"{attempt}: no answer within {self._timeout:g} s") from error
        except httpx.ConnectError as error:
            raise DatabaseUnavailableError(
                f"can't connect to {self._host} (from SUPABASE_URL): {_describe_network_error(error)}"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            # A RuntimeError is httpx's answer if the client has been closed meanwhile.
            raise DatabaseUnavailableError(f"{attempt}: {_first_line(error)}") from error
        except APIError as error:
            raise to_database_error(attempt, error) from error
        except UnicodeEncodeError as error:
            raise DatabaseError(f"{attempt}: a text can't be sent: {error.reason}") from error
        except ValueError as error:
            raise DatabaseError(f"{attempt}: the answer can't be read") from error


def to_database_error(attempt: str, error: APIError) -> DatabaseError:
    """Convert an error of the Data API into ours; the message begins with `attempt`."""
    code = error.code or ""
    message = (error.message or "").strip().split("\n")[0] or f"error {code}"
    if code in _REJECTED_KEY or message == "Invalid API key":
        return AccessRefusedError(
            f"{attempt}: {message}: set SUPABASE_SECRET_KEY or SUPABASE_SERVICE_ROLE_KEY to a key of this project"
        )
    if code == "42501":
        return AccessRefusedError(f"{attempt}: {message}")
    if code in _MISSING:
        return MissingSchemaError(f"{attempt}: {message}: run `vigilbase migrate`")
    # Only an SQLSTATE has five characters; an HTTP status such as 404 may begin with the same two.
    if code in (*_NO_ANSWER, _READ_ONLY) or (len(code) == len("08000") and code.startswith(_NO_ANSWER_CLASSES)):
        return DatabaseUnavailableError(f"{attempt}: {message}")
    return DatabaseError(f"{attempt}: {message}")


def _sqlstate(error: Exception) -> str | None:
    return error.code if isinstance(error, APIError) else None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__


def _describe_network_error(error: BaseException) -> str:
    """The text of the innermost error, which is the most precise one."""
    while inner := error.__cause__ or error.__context__:
        error = inner.exceptions[0] if isinstance(inner, BaseExceptionGroup) else inner
    if isinstance(error, socket.gaierror):
        return "the host's name can't be resolved"
    return os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else _first_line(error)


def _apply_filters(request: Request, where: Sequence[Where]) -> Request:
    for condition in where:
        value = to_json(condition.value)
        match condition.operator:
            case "eq" if value is None:
                request = request.is_(condition.column, None)
            case "eq":
                request = request.eq(condition.column, value)
            case "neq" if value is None:
                request = request.not_.is_(condition.column, None)
            case "neq":
                request = request.neq(condition.column, value)
            case "lt":
                request = request.lt(condition.column, value)
            case "lte":
                request = request.lte(condition.column, value)
            case "gt":
                request = request.gt(condition.column, value)
            case "gte":
                request = request.gte(condition.column, value)
    return request


def _encode_row(row: Row) -> dict[str, JSON]:
    return {column: to_json(value) for column, value in row.items()}


def _rows(attempt: str, answer: APIResponse) -> list[Row]:
    rows: object = answer.data  # annotated as a list, but the library passes on any JSON
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatabaseError(
            f"{attempt}: the answer is not from a Supabase Data API: set SUPABASE_URL to the project's URL"
        )
    return [revive(row) for row in rows]
