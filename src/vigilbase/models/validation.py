"""Validates values before anything is written: functions that return the value or raise.

Each raises `InvalidInputError` with the field and the rule.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from vigilbase.domain import JSON, MAX_INTEGER
from vigilbase.errors import InvalidInputError

MAX_NAME_LENGTH = 100
MAX_JSON_NUMBER = 2**53
MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 64 * 1024
MAX_DAYS = 36_500
UUID_DIGITS = 32
MIN_PREFIX_DIGITS = 4
PREFIX_LIMIT = 10
MAX_CHANNEL_LENGTH = 50
MAX_AUTHOR_LENGTH = 100
MAX_COMMENT_LENGTH = 2000
MAX_LENGTH_S = 10 * 366 * 86_400

Word = TypeVar("Word", bound=str)

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def require_type(field: str, value: object, kind: type) -> None:
    """Reject an object of another type, such as a dict."""
    if not isinstance(value, kind):
        raise InvalidInputError(field, f"must be a {kind.__name__}, not a {type(value).__name__}")


def validate_service_name(value: object) -> str:
    """1 to 100 characters, without whitespace around them."""
    name = _validate_characters("service_name", value)
    if not name.strip():
        raise InvalidInputError("service_name", "must not be empty or blank")
    if name != name.strip():
        raise InvalidInputError("service_name", "must not begin or end with whitespace")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidInputError("service_name", f"must have at most {MAX_NAME_LENGTH} characters, not {len(name)}")
    return name


def validate_choice(field: str, value: object, words: tuple[Word, ...]) -> Word:
    """One of the given words."""
    for word in words:
        if isinstance(value, str) and value == word:
            return word
    raise InvalidInputError(field, f"must be one of {', '.join(words)}")


def validate_text(field: str, value: object) -> str | None:
    """Any text that Postgres can hold, or None."""
    return None if value is None else _validate_characters(field, value)


def validate_phrase(field: str, value: object, max_length: int) -> str:
    """A text that isn't blank, without the whitespace around it."""
    text = (validate_text(field, value) or "").strip()
    if not text:
        raise InvalidInputError(field, "must not be empty or blank")
    if len(text) > max_length:
        raise InvalidInputError(field, f"must have at most {max_length} characters, not {len(text)}")
    return text


def validate_author(value: object) -> str:
    """The name of a person, or of the program that acts."""
    return validate_phrase("author", value, MAX_AUTHOR_LENGTH)


def validate_comment(value: object) -> str:
    """Why something is done, up to 2,000 characters."""
    return validate_phrase("comment", value, MAX_COMMENT_LENGTH)


def validate_integer(field: str, value: object, *, least: int, most: int) -> int:
    """A whole number (no bool, no 3.0) within bounds."""
    # bool is a subclass of int, but JSON and Postgres distinguish them.
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidInputError(field, f"must be a whole number from {least} to {most}")
    return int(value)


def validate_latency_ms(value: object) -> int | None:
    """Whole milliseconds that fit a Postgres integer, or None."""
    return None if value is None else validate_integer("latency_ms", value, least=0, most=MAX_INTEGER)


def validate_days(value: object) -> int:
    """A number of days for retention."""
    return validate_integer("days", value, least=0, most=MAX_DAYS)


def validate_limit(value: object) -> int:
    """How many rows to return, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInputError("limit", "must be a whole number, 1 or more")
    return int(value)


def validate_within_minutes(value: object) -> int:
    """A number of minutes before now."""
    return validate_integer("within_minutes", value, least=0, most=MAX_INTEGER)


def validate_length_s(value: object) -> float:
    """A length of time in seconds, up to ten years."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_LENGTH_S:
        raise InvalidInputError("length_s", f"must be a number of seconds, more than 0 and at most {MAX_LENGTH_S}")
    return float(value)


def validate_moment(field: str, value: object) -> datetime:
    """An aware time, in UTC."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidInputError(field, "must be a datetime with a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(field, "must be within the years 1 to 9999 in UTC") from None


def validate_id(value: object) -> UUID:
    """A UUID, or its string."""
    if isinstance(value, UUID):
        return value
    digits = _find_uuid_digits(value)
    if digits is None or len(digits) != UUID_DIGITS:
        raise InvalidInputError("id", "must be a UUID or its string")
    return UUID(digits)


def parse_id_prefix(value: object) -> tuple[UUID, UUID]:
    """The first and the last UUID that begin with these digits (at least 4, dashes optional)."""
    digits = _find_uuid_digits(value) or ""
    if not MIN_PREFIX_DIGITS <= len(digits) <= UUID_DIGITS:
        raise InvalidInputError("id", f"must be a UUID or at least its first {MIN_PREFIX_DIGITS} digits")
    return UUID(digits.ljust(UUID_DIGITS, "0")), UUID(digits.ljust(UUID_DIGITS, "f"))


def _find_uuid_digits(value: object) -> str | None:
    """The hexadecimal digits of a UUID or of its beginning, dashes optional; None if there is anything else.

    UUID() itself accepts more: it uses int(), which allows underscores and the digits of other scripts.
    """
    digits = value.replace("-", "").lower() if isinstance(value, str) else ""
    return digits if digits and set(digits) <= set("0123456789abcdef") else None


def validate_details(field: str, value: object) -> dict[str, JSON] | None:
    """An object that JSON and jsonb hold unchanged, or None.

    Numbers must be within ±2⁵³, which every language reads alike; at most 64 levels deep and 64 kB as compact UTF-8.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InvalidInputError(field, "must be a JSON object (a mapping) or None")
    checked = _validate_object(field, value, 1)
    # Without the spaces that json.dumps adds by default, so the limit doesn't depend on formatting.
    size = len(_COMPACT.encode(checked).encode())
    if size > MAX_JSON_BYTES:
        raise InvalidInputError(field, f"must have at most {MAX_JSON_BYTES} bytes as JSON, not {size}")
    return checked


def _validate_json(field: str, value: object, depth: int) -> JSON:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _validate_characters(field, value)
    if isinstance(value, (int, float)):
        # NaN isn't greater than any number, so it needs the second test.
        if abs(value) > MAX_JSON_NUMBER or not math.isfinite(value):
            raise InvalidInputError(field, "must hold finite numbers within ±2^53 only")
        return value
    if isinstance(value, list):
        _require_depth(field, depth)
        return [_validate_json(field, item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return _validate_object(field, value, depth)
    raise InvalidInputError(field, f"must hold only what JSON has, not a {type(value).__name__}")


def _validate_object(field: str, value: Mapping[object, object], depth: int) -> dict[str, JSON]:
    _require_depth(field, depth)
    checked: dict[str, JSON] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidInputError(field, f"must have strings as keys, not a {type(key).__name__}")
        checked[_validate_characters(field, key)] = _validate_json(field, item, depth + 1)
    return checked


def _require_depth(field: str, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise InvalidInputError(field, f"must be nested at most {MAX_JSON_DEPTH} levels deep")


def _validate_characters(field: str, value: object) -> str:
    """A text without NUL and lone surrogates, which Postgres can't hold."""
    if not isinstance(value, str):
        raise InvalidInputError(field, "must be text")
    if "\x00" in value:
        raise InvalidInputError(field, "must not contain a NUL character")
    # Most texts are ASCII, which is much faster to test than each character.
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInputError(field, "must not contain a lone surrogate")
    return str(value)
