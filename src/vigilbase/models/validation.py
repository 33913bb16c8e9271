"""What may be written, checked before anything is: plain functions that return the value or raise.

Each raises `InvalidInputError` with the field and the rule.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from vigilbase.errors import InvalidInputError
from vigilbase.vocabulary import JSON

MAX_NAME_LENGTH = 100
MAX_INTEGER = 2**31 - 1
MAX_JSON_NUMBER = 2**53
MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 64 * 1024
MAX_DAYS = 36_500
UUID_DIGITS = 32
MIN_PREFIX_DIGITS = 4

Word = TypeVar("Word", bound=str)

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def require_type(field: str, value: object, kind: type) -> None:
    """Refuse what is no such object at all, as a dict in its place."""
    if not isinstance(value, kind):
        raise InvalidInputError(field, f"must be a {kind.__name__}, not a {type(value).__name__}")


def valid_service_name(value: object) -> str:
    """1 to 100 characters without white space around them."""
    name = _valid_characters("service_name", value)
    if not name.strip():
        raise InvalidInputError("service_name", "must not be empty or blank")
    if name != name.strip():
        raise InvalidInputError("service_name", "must not begin or end with white space")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidInputError("service_name", f"must have at most {MAX_NAME_LENGTH} characters, not {len(name)}")
    return name


def valid_word(field: str, value: object, words: tuple[Word, ...]) -> Word:
    """One of a few words."""
    for word in words:
        if isinstance(value, str) and value == word:
            return word
    raise InvalidInputError(field, f"must be one of {', '.join(words)}")


def valid_text(field: str, value: object) -> str | None:
    """Any text that Postgres can hold, or None."""
    return None if value is None else _valid_characters(field, value)


def valid_integer(field: str, value: object, *, least: int, most: int) -> int:
    """A whole number (no bool, no 3.0) within bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInputError(field, f"must be a whole number from {least} to {most}")
    return int(value)


def valid_latency_ms(value: object) -> int | None:
    """Whole milliseconds that fit a Postgres integer, or None."""
    return None if value is None else valid_integer("latency_ms", value, least=0, most=MAX_INTEGER)


def valid_days(value: object) -> int:
    """A number of days for retention."""
    return valid_integer("days", value, least=0, most=MAX_DAYS)


def valid_limit(value: object) -> int:
    """How many rows to return, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError("limit", "must be a whole number, 1 or more")
    return int(value)


def valid_within_minutes(value: object) -> int:
    """The length of a window that ends now."""
    return valid_integer("within_minutes", value, least=0, most=MAX_INTEGER)


def valid_moment(field: str, value: object) -> datetime:
    """An aware time, in UTC."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidInputError(field, "must be a datetime with a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(field, "must be within the years 1 to 9999 in UTC") from None


def valid_id(value: object) -> UUID:
    """A UUID, or its string."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError:
        raise InvalidInputError("id", "must be a UUID or its string") from None


def valid_id_prefix(value: object) -> str:
    """The hexadecimal digits with which a UUID begins, at least 4, without its dashes."""
    digits = value.replace("-", "").lower() if isinstance(value, str) else ""
    if not MIN_PREFIX_DIGITS <= len(digits) <= UUID_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise InvalidInputError("id", f"must be a UUID or its first digits, at least {MIN_PREFIX_DIGITS} of them")
    return digits


def valid_details(field: str, value: object) -> dict[str, JSON] | None:
    """An object that JSON and Postgres' jsonb hold without change, or None.

    Numbers within ±2⁵³, so that no reader in another language sees a different one; at most 64 levels deep and
    64 kB as compact UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInputError(field, "must be a JSON object (a mapping) or None")
    checked = _valid_object(field, value, 1)
    size = len(_COMPACT.encode(checked).encode())
    if size > MAX_JSON_BYTES:
        raise InvalidInputError(field, f"must have at most {MAX_JSON_BYTES} bytes as JSON, not {size}")
    return checked


def _valid_json(field: str, value: object, depth: int) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _valid_characters(field, value)
    if isinstance(value, (int, float)):
        if abs(value) > MAX_JSON_NUMBER or not math.isfinite(value):
            raise InvalidInputError(field, "must hold finite numbers within ±2^53 only")
        return value
    if isinstance(value, list):
        _require_depth(field, depth)
        return [_valid_json(field, item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return _valid_object(field, value, depth)
    raise InvalidInputError(field, f"must hold only what JSON has, not a {type(value).__name__}")


def _valid_object(field: str, value: Mapping[object, object], depth: int) -> dict[str, JSON]:
    _require_depth(field, depth)
    checked: dict[str, JSON] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidInputError(field, f"must have strings as keys, not a {type(key).__name__}")
        checked[_valid_characters(field, key)] = _valid_json(field, item, depth + 1)
    return checked


def _require_depth(field: str, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise InvalidInputError(field, f"must be nested at most {MAX_JSON_DEPTH} levels deep")


def _valid_characters(field: str, value: object) -> str:
    """A text without what Postgres can't hold: NUL, and halves of a surrogate pair."""
    if not isinstance(value, str):
        raise InvalidInputError(field, "must be text")
    if "\x00" in value:
        raise InvalidInputError(field, "must not contain a NUL character")
    # Most texts are ASCII, and asking that is much faster than looking at each character.
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInputError(field, "must not contain a lone surrogate")
    return str(value)
