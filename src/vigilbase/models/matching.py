"""What silences and maintenance windows share: which services they mean, who made them and why."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import MAX_ROWS, Order, Row, Value, Where
from vigilbase.errors import DatabaseError, InvalidInputError
from vigilbase.models.rows import as_optional_moment, row_from
from vigilbase.models.validation import UUID_DIGITS, valid_id_prefix, valid_moment, valid_text
from vigilbase.vocabulary import JSON

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


def added_row(answer: JSON, kind: str, attempt: str) -> Row:
    """The row that was added.

    Raises:
        InvalidInputError: it was not, because of its times.
        DatabaseError: the database answered something unexpected.

    """
    match answer:
        case {"outcome": "in_the_past"}:
            raise InvalidInputError("starts_at", "must not be in the past; leave it out to begin now")
        case {"outcome": "empty"}:
            raise InvalidInputError("ends_at", "must be later than the start")
    return _part(answer, kind, attempt)


def ended_row(answer: JSON, kind: str, attempt: str) -> tuple[Row, bool]:
    """The row that was ended as it stands now, and whether it was not over yet."""
    return _part(answer, kind, attempt), isinstance(answer, Mapping) and answer.get("ended") is True


async def rows_by_id_prefix(table: str, prefix: str) -> list[Row]:
    """The rows whose id begins so, `PREFIX_LIMIT` at the most, by id."""
    digits = valid_id_prefix(prefix)
    least, most = (UUID(digits.ljust(UUID_DIGITS, filler)) for filler in "0f")
    where = [Where("id", "gte", least), Where("id", "lte", most)]
    return await get_supabase_service_client().select(table, where, [Order("id")], limit=PREFIX_LIMIT)


async def rows_ended_since(table: str, since: datetime) -> list[Row]:
    """The rows whose end lies behind a moment, `MAX_ROWS` at the most, the latest end first."""
    where = [Where("ends_at", "gt", valid_moment("since", since))]
    order = [Order("ends_at", descending=True), Order("id")]
    return await get_supabase_service_client().select(table, where, order, limit=MAX_ROWS)


def as_moment(value: Value) -> datetime:
    """A column that always holds a time."""
    moment = as_optional_moment(value)
    if moment is None:
        raise DatabaseError("read a row: a column that must hold a time doesn't")
    return moment


def _part(answer: JSON, kind: str, attempt: str) -> Row:
    row = row_from(answer[kind], attempt) if isinstance(answer, Mapping) and kind in answer else None
    if row is None:
        raise DatabaseError(f"{attempt}: the database answered something else than this program expects")
    return row


def _valid_length(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_LENGTH_S:
        raise InvalidInputError("length_s", f"must be a number of seconds, more than 0 and at most {MAX_LENGTH_S}")
    return float(value)
