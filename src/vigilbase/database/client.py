"""The one seam to the database: five verbs on plain values, acting with the service role.

What is more than one statement, an aggregate, a lock, or may be more than `MAX_ROWS` rows is a SQL function reached
through `call`, since the Data API runs one request in one transaction and cuts an answer at 1,000 rows.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable
from uuid import UUID

from vigilbase.vocabulary import JSON

Value: TypeAlias = "JSON | UUID | datetime"
"""What a column or an argument may hold. Times are aware, and UTC on the way out."""

Row: TypeAlias = Mapping[str, Value]
"""A row by the names of its columns."""

Answer = TypeVar("Answer")

MAX_ROWS = 1000
"""The most rows that one `select` may ask for: the Data API cuts longer answers without a word."""

MAX_RETRIES = 3
_CONFLICTS = {"40001", "40P01"}  # SQLSTATEs: serialization failure, deadlock


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on a column; conditions in a sequence all have to hold.

    As in SQL, no operator matches a column without a value, except that `None` means IS NULL with `eq`, and IS NOT NULL
    with `neq`.
    """

    column: str
    operator: Literal["eq", "neq", "lt", "lte", "gt", "gte"]
    value: Value


@dataclass(frozen=True, slots=True)
class Order:
    """A column to sort by. Rows without a value come last, in both directions."""

    column: str
    descending: bool = False


class ServiceClient(Protocol):
    """The database, seen by the service role. Every transport behaves alike; one conformance suite says so.

    Every verb raises `DatabaseError` (or one of its kinds) with what was tried, and the driver's error as the cause.
    """

    async def insert(self, table: str, rows: Sequence[Row]) -> list[Row]:
        """Insert rows of the same columns in one statement, all or none; return them as stored."""
        ...

    async def select(
        self, table: str, where: Sequence[Where] = (), order: Sequence[Order] = (), limit: int = MAX_ROWS
    ) -> list[Row]:
        """The rows that meet every condition, sorted, at most `limit` of them (1 to `MAX_ROWS`)."""
        ...

    async def update(self, table: str, values: Row, where: Sequence[Where]) -> list[Row]:
        """Change the rows that meet every condition; return them as stored. At least one condition."""
        ...

    async def delete(self, table: str, where: Sequence[Where]) -> int:
        """Delete the rows that meet every condition; return how many. At least one condition."""
        ...

    async def call(self, function: str, arguments: Mapping[str, Value] | None = None) -> JSON:
        """Run a SQL function that returns one value (JSON, a number, a text), in a transaction of its own."""
        ...

    async def aclose(self) -> None:
        """Close every connection; the client can't be used afterwards."""
        ...


@runtime_checkable
class Listener(Protocol):
    """What a transport may offer besides.

    Nothing may depend on it: over the Data API and behind a pooler in transaction mode no notification is ever heard.
    """

    def notifications(self, channel: str) -> AsyncIterator[None]:
        """One item for each notification on a channel, for ever, and a first one when it is known to be heard.

        Raises DatabaseError when it isn't, or not any more.
        """
        ...


def require_limit(limit: int) -> None:
    """Refuse a limit that one answer can't hold (a fault of the caller's, so a plain ValueError)."""
    if not 1 <= limit <= MAX_ROWS:
        raise ValueError(f"limit must be 1 to {MAX_ROWS}: page, or use a SQL function")


def require_where(where: Sequence[Where]) -> None:
    """Refuse a change without a condition (a fault of the caller's, so a plain ValueError)."""
    if not where:
        raise ValueError("a change without a condition would touch every row")


async def retry_conflicts(
    attempt: Callable[[], Awaitable[Answer]], sqlstate_of: Callable[[Exception], str | None]
) -> Answer:
    """Run a whole transaction again, at once and up to `MAX_RETRIES` times, while it conflicts with another one."""
    for _ in range(MAX_RETRIES):
        try:
            return await attempt()
        except Exception as error:
            # The server has rolled it back, so nothing is done twice.
            if sqlstate_of(error) not in _CONFLICTS:
                raise
    return await attempt()
