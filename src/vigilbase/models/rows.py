"""Plain helpers that the models share: from what a SQL function answered to rows."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.database.values import revive
from vigilbase.errors import DatabaseError
from vigilbase.vocabulary import JSON


def row_from(answer: JSON, attempt: str) -> Row | None:
    """One row that a function returned as a JSON object, or None.

    Raises:
        DatabaseError: the answer is something else.

    """
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise _unexpected(attempt)
    try:
        return revive(answer)
    except ValueError as error:
        raise _unexpected(attempt) from error


def rows_from(answer: JSON, attempt: str) -> list[Row]:
    """Rows that a function returned as one JSON array of objects.

    Raises:
        DatabaseError: the answer is something else.

    """
    if not isinstance(answer, list):
        raise _unexpected(attempt)
    rows = [row_from(item, attempt) for item in answer]
    return [row for row in rows if row is not None]


def count_from(answer: JSON, attempt: str) -> int:
    """A number of rows that a function returned.

    Raises:
        DatabaseError: the answer is something else.

    """
    if not isinstance(answer, int):
        raise _unexpected(attempt)
    return answer


def as_uuid(value: Value) -> UUID:
    """A column that always holds a UUID."""
    if not isinstance(value, UUID):
        raise DatabaseError("read a row: a column that must hold a UUID doesn't")
    return value


def as_text(value: Value) -> str:
    """A column that always holds text."""
    if not isinstance(value, str):
        raise DatabaseError("read a row: a column that must hold text doesn't")
    return value


def as_optional_text(value: Value) -> str | None:
    """A column that holds text or nothing."""
    return None if value is None else as_text(value)


def as_optional_integer(value: Value) -> int | None:
    """A column that holds a whole number or nothing."""
    if value is not None and not isinstance(value, int):
        raise DatabaseError("read a row: a column that must hold a whole number doesn't")
    return value


def as_optional_moment(value: Value) -> datetime | None:
    """A column that holds a time or nothing."""
    if value is not None and not isinstance(value, datetime):
        raise DatabaseError("read a row: a column that must hold a time doesn't")
    return value


def as_optional_object(value: Value) -> Mapping[str, JSON] | None:
    """A JSONB column that holds an object or nothing. What others put there as a bare value reads as {"value": …}."""
    if value is None or isinstance(value, Mapping):
        return value
    if isinstance(value, (UUID, datetime)):
        raise DatabaseError("read a row: a column that must hold JSON doesn't")
    return {"value": value}


def _unexpected(attempt: str) -> DatabaseError:
    return DatabaseError(f"{attempt}: the database answered something else than this program expects")
