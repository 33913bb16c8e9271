"""The interface to the database: five verbs on plain values, with the privileges of the service role.

Everything else is a SQL function reached through `call`: several statements, aggregates, locks, and results that may
exceed `MAX_ROWS` rows. The Data API runs each request in a transaction of its own, and truncates results at 1,000 rows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable
from uuid import UUID

from vigilbase.domain import JSON

Value: TypeAlias = JSON | UUID | datetime
"""A column's or an argument's value. Times are aware; those that are read are in UTC."""

Row: TypeAlias = Mapping[str, Value]
"""A row's values by column name."""

Answer = TypeVar("Answer")

MAX_ROWS = 1000
"""The maximum limit of a `select`: the Data API silently truncates longer results."""

MAX_RETRIES = 3
_CONFLICTS = {"40001", "40P01"}  # SQLSTATEs: serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on a column. A sequence of conditions is a conjunction.

    As in SQL, no operator matches NULL, except that `eq` and `neq` with the value `None` mean IS NULL and IS NOT NULL.
    """

    column: str
    operator: Literal["eq", "neq", "lt", "lte", "gt", "gte"]
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by. NULLs come last in both directions."""

    column: str
    descending: bool = False


class ServiceClient(Protocol):
    """The database as the service role sees it. All transports behave alike, which one conformance suite verifies.

    Every verb raises `DatabaseError` or a subclass. Its message begins with the attempted operation, and its cause is
    the driver's error.
    """

    async def insert(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """Insert rows with the same columns in one statement, all or none; return them as stored."""
        ...

    async def select(
        self, table: str, where: Sequence[Where] = (), order: Sequence[Order] = (), limit: int = MAX_ROWS
    ) -> list[Row]:
        """The rows that meet every condition, sorted; at most `limit` of them (1 to `MAX_ROWS`)."""
        ...

    async def update(self, table: str, values: Row, where: Sequence[Where]) -> list[Row]:
        """Update the rows that meet every condition (at least one is required); return them as stored."""
        ...

    async def delete(self, table: str, where: Sequence[Where]) -> int:
        """Delete the rows that meet every condition (at least one is required); return their number."""
        ...

    async def call(self, function: str, arguments: Mapping[str, Value] | None = None) -> JSON:
        """Run a SQL function that returns one value (JSON, a number or a text) in a transaction of its own."""
        ...

    async def aclose(self) -> None:
        """Close all connections. The client can't be used afterwards."""
        ...


@runtime_checkable
class Listener(Protocol):
    """A transport that can also listen for Postgres notifications (LISTEN).

    Nothing may depend on it: the Data API and poolers in transaction mode deliver no notifications.
    """

    def listen(self, channel: str) -> AsyncIterator[None]:
        """Yield once when a test notification has arrived, then once per notification on the channel, without end.

        Raises:
            DatabaseError: notifications don't arrive, or the connection ends.

        """
        ...


def require_limit(limit: int) -> None:
    """Reject a limit outside 1 to `MAX_ROWS` with a plain ValueError, because it is the caller's bug."""
    if not 1 <= limit <= MAX_ROWS:
        raise ValueError(f"limit must be 1 to {MAX_ROWS}: read page by page, or use a SQL function")


def require_where(where: Sequence[Where]) -> None:
    """Reject a change of every row with a plain ValueError, because it is the caller's bug."""
    if not where:
        raise ValueError("a change without a condition would affect every row: pass at least one")


async def retry_conflicts(
    attempt: Callable[[], Awaitable[Answer]], sqlstate_of: Callable[[Exception], str | None]
) -> Answer:
    """Run a transaction; rerun it at once, up to `MAX_RETRIES` times, while it conflicts with another one."""
    for _ in range(MAX_RETRIES):
        try:
            return await attempt()
        except Exception as error:
            # The server has rolled the transaction back, so nothing happens twice.
            if sqlstate_of(error) not in _CONFLICTS:
                raise
    return await attempt()
