"""From a row's columns to typed values.

A stored value that can't be read is the database's fault, not the caller's, so it is a `DatabaseError`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.domain import JSON
from vigilbase.errors import DatabaseError

Word = TypeVar("Word", bound=str)

_MAX_SHOWN = 60  # characters of a value in a message


class UnreadableRowError(DatabaseError):
    """A column of a row holds a value that its model doesn't know."""


class ChangedColumnError(UnreadableRowError):
    """A column is missing or has another type, so other rows can't be read either."""


def get_uuid(row: Row, column: str) -> UUID:
    """A UUID."""
    value = _get(row, column)
    if not isinstance(value, UUID):
        raise _make_type_error(column, value, "a UUID")
    return value


def get_optional_uuid(row: Row, column: str) -> UUID | None:
    """A UUID or nothing."""
    return None if _get(row, column) is None else get_uuid(row, column)


def get_text(row: Row, column: str) -> str:
    """A text."""
    value = _get(row, column)
    if not isinstance(value, str):
        raise _make_type_error(column, value, "a text")
    return value


def get_optional_text(row: Row, column: str) -> str | None:
    """A text or nothing."""
    return None if _get(row, column) is None else get_text(row, column)


def get_choice(row: Row, column: str, words: tuple[Word, ...]) -> Word:
    """One of the given words."""
    text = get_text(row, column)
    for word in words:
        if text == word:
            return word
    raise UnreadableRowError(describe_odd_word(column, text, words))


def describe_odd_word(column: str, text: str, words: tuple[str, ...]) -> str:
    """That a column holds another text than one of the words."""
    return f"{column} is {repr(text)[:_MAX_SHOWN]}, not one of {', '.join(words)}"


def get_integer(row: Row, column: str) -> int:
    """A whole number."""
    value = _get(row, column)
    # bool is a subclass of int.
    if not isinstance(value, int) or isinstance(value, bool):
        raise _make_type_error(column, value, "a whole number")
    return value


def get_optional_integer(row: Row, column: str) -> int | None:
    """A whole number or nothing."""
    return None if _get(row, column) is None else get_integer(row, column)


def get_flag(row: Row, column: str) -> bool:
    """True or False."""
    value = _get(row, column)
    if not isinstance(value, bool):
        raise _make_type_error(column, value, "true or false")
    return value


def get_moment(row: Row, column: str) -> datetime:
    """A time, aware, in UTC."""
    value = _get(row, column)
    if isinstance(value, str):
        # `revive` leaves a time as text in a column whose name doesn't end in _at.
        try:
            return parse_timestamp(value)
        except ValueError:
            pass
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _make_type_error(column, value, "a time with a time zone")
    return value.astimezone(UTC)


def get_optional_moment(row: Row, column: str) -> datetime | None:
    """A time or nothing."""
    return None if _get(row, column) is None else get_moment(row, column)


def get_optional_object(row: Row, column: str) -> Mapping[str, JSON] | None:
    """A JSON object or nothing. A bare value that another program wrote reads as {"value": …}."""
    value = _get(row, column)
    if value is None or isinstance(value, Mapping):
        return value
    if isinstance(value, (UUID, datetime)):
        raise _make_type_error(column, value, "JSON")
    return {"value": value}


def _get(row: Row, column: str) -> Value:
    if column not in row:
        raise ChangedColumnError(f"column {column} is missing")
    return row[column]


def _make_type_error(column: str, value: Value, expected: str) -> UnreadableRowError:
    if value is None:
        return UnreadableRowError(f"{column} is empty, not {expected}")
    return ChangedColumnError(f"column {column} holds {type(value).__name__}, not {expected}")
