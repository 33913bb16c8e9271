"""What silences and maintenance windows share: which services they mean, who made them and why."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.errors import DatabaseError, InvalidInputError
from vigilbase.models.rows import as_optional_moment, row_from, rows_from
from vigilbase.models.validation import (
    MAX_INTEGER,
    UUID_DIGITS,
    valid_id,
    valid_id_prefix,
    valid_integer,
    valid_moment,
    valid_text,
)
from vigilbase.vocabulary import JSON

Kind: TypeAlias = Literal["silence", "maintenance"]
"""What a row of `vigilbase.suppressions` is."""

MAX_GLOB_LENGTH = 100
MAX_TAG_LENGTH = 50
MAX_AUTHOR_LENGTH = 100
MAX_COMMENT_LENGTH = 2000
MAX_LENGTH_S = 10 * 366 * 86_400
PREFIX_LIMIT = 10


def valid_words(field: str, value: object, most: int) -> str:
    """A text that says something, without white space around it."""
    text = (valid_text(field, value) or "").strip()
    if not text:
        raise InvalidInputError(field, "must not be empty or blank")
    if len(text) > most:
        raise InvalidInputError(field, f"must have at most {most} characters, not {len(text)}")
    return text


def valid_author(value: object) -> str:
    """Who does something."""
    return valid_words("author", value, MAX_AUTHOR_LENGTH)


def valid_comment(value: object) -> str:
    """Why it is done."""
    return valid_words("comment", value, MAX_COMMENT_LENGTH)


def matcher_arguments(service_glob: object, tag: object) -> dict[str, Value]:
    """Which services are meant, by a pattern of their names or by a tag; one of the two, checked."""
    if (service_glob is None) == (tag is None):
        raise InvalidInputError("service_glob", "or tag must be given, and not both")
    return {
        "p_service_glob": None if service_glob is None else valid_words("service_glob", service_glob, MAX_GLOB_LENGTH),
        "p_tag": None if tag is None else valid_words("tag", tag, MAX_TAG_LENGTH),
    }


def interval_arguments(starts_at: object, ends_at: object, length_s: object) -> dict[str, Value]:
    """When it begins and ends, checked; the order of both, and that it isn't in the past, the database sees to."""
    if ends_at is not None and length_s is not None:
        raise InvalidInputError("ends_at", "and length_s must not both be given")
    return {
        "p_starts_at": None if starts_at is None else valid_moment("starts_at", starts_at),
        "p_ends_at": None if ends_at is None else valid_moment("ends_at", ends_at),
        "p_length_s": None if length_s is None else _valid_length(length_s),
    }


async def add_suppression(kind: Kind, arguments: Mapping[str, Value]) -> Row:
    """Add a suppression and return its row.

    Raises:
        InvalidInputError: it was not added, because of its times.
        DatabaseError: the database fails, or answered something unexpected.

    """
    function = "vigilbase_add_suppression"
    answer = await get_supabase_service_client().call(function, {"p_kind": kind, **arguments})
    match answer:
        case {"outcome": "in_the_past"}:
            raise InvalidInputError("starts_at", "must not be in the past; leave it out to begin now")
        case {"outcome": "empty"}:
            raise InvalidInputError("ends_at", "must be later than the start")
    return _suppression(answer, function)


async def list_suppressions(
    kind: Kind, *, include_ended: bool = False, since: datetime | None = None, limit: int | None = None
) -> list[Row]:
    """The rows that have not ended, newest first; with `since` also those that ended later, or all; at most `limit`."""
    function = "vigilbase_list_suppressions"
    arguments: dict[str, Value] = {
        "p_kind": kind,
        "p_include_ended": include_ended,
        "p_since": None if since is None else valid_moment("since", since),
        "p_limit": None if limit is None else valid_integer("limit", limit, least=1, most=MAX_INTEGER),
    }
    return rows_from(await get_supabase_service_client().call(function, arguments), f"call {function}")


async def find_suppressions(kind: Kind, prefix: str) -> list[Row]:
    """The rows whose id begins so, at most `PREFIX_LIMIT`, by id."""
    function = "vigilbase_find_suppressions"
    first, last = id_range(prefix)
    arguments: dict[str, Value] = {"p_kind": kind, "p_first_id": first, "p_last_id": last, "p_limit": PREFIX_LIMIT}
    return rows_from(await get_supabase_service_client().call(function, arguments), f"call {function}")


async def end_suppression(kind: Kind, id: UUID | str) -> tuple[Row, bool] | None:  # noqa: A002
    """The row as it stands now, and whether this ended it; None for an unknown id."""
    function = "vigilbase_end_suppression"
    answer = await get_supabase_service_client().call(function, {"p_kind": kind, "p_id": valid_id(id)})
    if answer is None:
        return None
    return _suppression(answer, function), isinstance(answer, Mapping) and answer.get("has_ended") is True


def id_range(prefix: str) -> tuple[UUID, UUID]:
    """The first and the last id that begin so."""
    digits = valid_id_prefix(prefix)
    return UUID(digits.ljust(UUID_DIGITS, "0")), UUID(digits.ljust(UUID_DIGITS, "f"))


def as_moment(value: Value) -> datetime:
    """A column that always holds a time."""
    moment = as_optional_moment(value)
    if moment is None:
        raise DatabaseError("read a row: a column that must hold a time doesn't")
    return moment


def _suppression(answer: JSON, function: str) -> Row:
    row = row_from(answer.get("suppression"), f"call {function}") if isinstance(answer, Mapping) else None
    if row is None:
        raise DatabaseError(f"call {function}: the database answered something else than this program expects")
    return row


def _valid_length(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_LENGTH_S:
        raise InvalidInputError("length_s", f"must be a number of seconds, more than 0 and at most {MAX_LENGTH_S}")
    return float(value)
