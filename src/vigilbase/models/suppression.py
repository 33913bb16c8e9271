"""Rows of `vigilbase.suppressions`: silences and maintenance windows, which suppress notifications for a while."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.domain import JSON, MAX_INTEGER
from vigilbase.errors import InvalidInputError
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    get_choice,
    get_flag,
    get_integer,
    get_moment,
    get_optional_moment,
    get_optional_text,
    get_text,
    get_uuid,
)
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.recurrence import Recurrence, make_recurrence_arguments
from vigilbase.models.rows import read_item, read_items, read_row, read_rows
from vigilbase.models.validation import (
    PREFIX_LIMIT,
    parse_id_prefix,
    require_type,
    validate_author,
    validate_choice,
    validate_comment,
    validate_id,
    validate_integer,
    validate_length_s,
    validate_moment,
    validate_phrase,
)

log = get_logger(__name__)

SuppressionKind: TypeAlias = Literal["silence", "maintenance"]
"""A maintenance window also says that the service is being worked on, so its downtime is planned."""

KINDS: tuple[SuppressionKind, ...] = get_args(SuppressionKind)
MAX_GLOB_LENGTH = 100
# The limit of a tag in the file (configfile/models.py): a longer one could match nothing.
MAX_TAG_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Suppression:
    """A silence or a maintenance window. Times are aware, in UTC.

    It is active from `starts_at` up to, but not including, `ends_at`, or until someone ends it where that is None. With
    a recurrence it is active only at the recurring times between these bounds. One that was cancelled before it began
    ends when it starts.
    """

    id: UUID
    kind: SuppressionKind
    service_glob: str | None
    tag: str | None
    starts_at: datetime
    ends_at: datetime | None
    recurrence: Recurrence | None
    author: str
    comment: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreateSuppressionData:
    """A suppression to be created, for the services that match either `service_glob` or `tag`.

    It begins now unless `starts_at` says when, and ends at `ends_at` or after `length_s` seconds. A silence without
    either lasts until it is ended. A maintenance window needs one of them, or a recurrence, which silences don't have.
    """

    kind: SuppressionKind
    author: str
    comment: str
    service_glob: str | None = None
    tag: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    length_s: float | None = None
    recurrence: Recurrence | None = None


class SuppressionModel:
    """Reads and writes suppressions.

    Every method raises `InvalidInputError` for a value that breaks a rule, before anything is written, and
    `DatabaseError` when the database fails. The database's clock decides what is now.
    """

    @staticmethod
    async def create(data: CreateSuppressionData) -> Suppression:
        """Create a suppression, which can't begin in the past, and return it."""
        with log_failures(log, "suppression.create"):
            suppression = await _create(make_suppression_arguments(data))
        log.info("suppression.created", id=str(suppression.id), kind=suppression.kind, author=suppression.author)
        return suppression

    @staticmethod
    async def find_current(kind: SuppressionKind | None = None) -> list[Suppression]:
        """The suppressions that are active now or later, of one kind or both, newest first."""
        return await _find(kind)

    @staticmethod
    async def find_since(since: datetime, kind: SuppressionKind | None = None) -> list[Suppression]:
        """As `find_current`, with those that have ended since a moment."""
        return await _find(kind, since=since)

    @staticmethod
    async def find_newest(kind: SuppressionKind | None = None, *, limit: int = 100) -> list[Suppression]:
        """The newest suppressions, at most `limit`, including those that have ended."""
        return await _find(kind, include_ended=True, limit=limit)

    @staticmethod
    async def find_by_id_prefix(kind: SuppressionKind, prefix: str) -> list[Suppression]:
        """Those whose id begins with the prefix (at least 4 hexadecimal digits, dashes optional), at most 10, by id."""
        with log_failures(log, "suppression.find_by_id_prefix"):
            first, last = parse_id_prefix(prefix)
            suppressions = await _call_for_list(
                "vigilbase_find_suppressions",
                {
                    "p_kind": validate_choice("kind", kind, KINDS),
                    "p_first_id": first,
                    "p_last_id": last,
                    "p_limit": PREFIX_LIMIT,
                },
            )
        log.info("suppression.found_by_id_prefix", count=len(suppressions))
        return suppressions

    @staticmethod
    async def end(kind: SuppressionKind, id: UUID | str) -> tuple[Suppression, bool] | None:  # noqa: A002
        """End a suppression now, or cancel it before it begins; return it, and whether this changed it.

        None for an unknown id. A suppression that has ended stays as it is.
        """
        with log_failures(log, "suppression.end", id=str(id)):
            function = "vigilbase_end_suppression"
            arguments: dict[str, Value] = {"p_kind": validate_choice("kind", kind, KINDS), "p_id": validate_id(id)}
            answer = await get_supabase_service_client().call(function, arguments)
            if answer is None:
                log.info("suppression.ended", id=str(id), found=False)
                return None
            suppression, fields = _read_answer(answer, function)
            has_ended = read_item(fields, lambda row: get_flag(row, "has_ended"), f"call {function}")
        log.info("suppression.ended", id=str(id), has_changed=has_ended)
        return suppression, has_ended


def make_suppression_arguments(data: CreateSuppressionData) -> dict[str, Value]:
    """The arguments of `vigilbase_add_suppression`, every part checked.

    Raises:
        InvalidInputError: a part breaks a rule.

    """
    require_type("data", data, CreateSuppressionData)
    kind = validate_choice("kind", data.kind, KINDS)
    if kind == "silence" and data.recurrence is not None:
        raise InvalidInputError("recurrence", "must be None for a silence; use a maintenance window")
    if kind == "maintenance" and data.recurrence is None and data.ends_at is None and data.length_s is None:
        raise InvalidInputError("ends_at", "must be set, or else length_s, for a maintenance window without recurrence")
    return {
        "p_kind": kind,
        **_make_matcher_arguments(data.service_glob, data.tag),
        **_make_interval_arguments(data.starts_at, data.ends_at, data.length_s),
        **make_recurrence_arguments(data.recurrence),
        "p_author": validate_author(data.author),
        "p_comment": validate_comment(data.comment),
    }


def _make_matcher_arguments(service_glob: object, tag: object) -> dict[str, Value]:
    if (service_glob is None) == (tag is None):
        raise InvalidInputError("service_glob", "must be set if tag isn't, and only then")
    return {
        "p_service_glob": None
        if service_glob is None
        else validate_phrase("service_glob", service_glob, MAX_GLOB_LENGTH),
        "p_tag": None if tag is None else validate_phrase("tag", tag, MAX_TAG_LENGTH),
    }


def _make_interval_arguments(starts_at: object, ends_at: object, length_s: object) -> dict[str, Value]:
    """The bounds; the database, whose clock decides, checks their order and that they aren't in the past."""
    if ends_at is not None and length_s is not None:
        raise InvalidInputError("ends_at", "must not be set if length_s is")
    return {
        "p_starts_at": None if starts_at is None else validate_moment("starts_at", starts_at),
        "p_ends_at": None if ends_at is None else validate_moment("ends_at", ends_at),
        "p_length_s": None if length_s is None else validate_length_s(length_s),
    }


async def _create(arguments: Mapping[str, Value]) -> Suppression:
    function = "vigilbase_add_suppression"
    answer = await get_supabase_service_client().call(function, arguments)
    # Only the database's clock decides what is in the past, so these two are answers of the function.
    match answer:
        case {"outcome": "in_the_past"}:
            raise InvalidInputError("starts_at", "must not be in the past; leave it out to begin now")
        case {"outcome": "empty"}:
            raise InvalidInputError("ends_at", "must be later than the start")
    suppression, _ = _read_answer(answer, function)
    return suppression


async def _find(
    kind: SuppressionKind | None,
    *,
    include_ended: bool = False,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[Suppression]:
    with log_failures(log, "suppression.find"):
        arguments: dict[str, Value] = {
            "p_kind": None if kind is None else validate_choice("kind", kind, KINDS),
            "p_include_ended": include_ended,
            "p_since": None if since is None else validate_moment("since", since),
            "p_limit": None if limit is None else validate_integer("limit", limit, least=1, most=MAX_INTEGER),
        }
        suppressions = await _call_for_list("vigilbase_list_suppressions", arguments)
    log.info("suppression.found", kind=kind, count=len(suppressions))
    return suppressions


async def _call_for_list(function: str, arguments: Mapping[str, Value]) -> list[Suppression]:
    answer = await get_supabase_service_client().call(function, arguments)
    rows = read_rows(answer, f"call {function}")
    return read_items(rows, _read_suppression, f"call {function}", log, "suppression")


def _read_answer(answer: JSON, function: str) -> tuple[Suppression, Row]:
    """The suppression in an answer, and the answer's other fields."""
    fields = read_row(answer, f"call {function}") or {}
    row = read_row(fields.get("suppression"), f"call {function}")
    return read_item(row, _read_suppression, f"call {function}"), fields


def _read_suppression(row: Row) -> Suppression:
    return Suppression(
        id=get_uuid(row, "id"),
        kind=get_choice(row, "kind", KINDS),
        service_glob=get_optional_text(row, "service_glob"),
        tag=get_optional_text(row, "tag"),
        starts_at=get_moment(row, "starts_at"),
        ends_at=get_optional_moment(row, "ends_at"),
        recurrence=_read_recurrence(row),
        author=get_text(row, "author"),
        comment=get_text(row, "comment"),
        created_at=get_optional_moment(row, "created_at"),
    )


def _read_recurrence(row: Row) -> Recurrence | None:
    cron = get_optional_text(row, "cron")
    return None if cron is None else Recurrence(cron, get_integer(row, "duration_s"), get_text(row, "time_zone"))
