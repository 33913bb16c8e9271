"""From the answer of a SQL function to rows, and from a row's values to typed ones."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.database.json_codec import revive
from vigilbase.domain import JSON
from vigilbase.errors import DatabaseError


def read_row(answer: JSON, attempt: str) -> Row | None:
    """One row that a function returned as a JSON object, or None.

    Raises:
        DatabaseError: the answer has another form.

    """
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise make_unexpected_answer_error(attempt)
    try:
        return revive(answer)
    except ValueError as error:
        raise make_unexpected_answer_error(attempt) from error


def read_rows(answer: JSON, attempt: str) -> list[Row]:
    """Rows that a function returned as one JSON array of objects.

    Raises:
        DatabaseError: the answer has another form.

    """
    if not isinstance(answer, list):
        raise make_unexpected_answer_error(attempt)
    rows = [read_row(item, attempt) for item in answer]
    return [row for row in rows if row is not None]


def read_count(answer: JSON, attempt: str) -> int:
    """A number of rows that a function returned.

    Raises:
        DatabaseError: the answer has another form.

    """
    if not isinstance(answer, int):
        raise make_unexpected_answer_error(attempt)
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


def as_moment(value: Value) -> datetime:
    """A column that always holds a time."""
    moment = as_optional_moment(value)
    if moment is None:
        raise DatabaseError("read a row: a column that must hold a time doesn't")
    return moment


def as_optional_object(value: Value) -> Mapping[str, JSON] | None:
    """A JSONB column that holds an object or nothing. A bare value that another program wrote reads as {"value": …}."""
    if value is None or isinstance(value, Mapping):
        return value
    if isinstance(value, (UUID, datetime)):
        raise DatabaseError("read a row: a column that must hold JSON doesn't")
    return {"value": value}


def make_unexpected_answer_error(attempt: str) -> DatabaseError:
    """The error for an answer in another form, as after a host changed a function or a table."""
    return DatabaseError(
        f"{attempt}: the database gave an unexpected answer; `vigilbase doctor` says whether its schema was changed"
    )
