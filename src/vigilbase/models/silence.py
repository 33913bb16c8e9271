"""Silences, rows of `vigilbase.suppressions`: for which services notifications are suppressed, when, and why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.logging import get_logger
from vigilbase.models.attempts import reported
from vigilbase.models.matching import (
    add_suppression,
    as_moment,
    end_suppression,
    find_suppressions,
    interval_arguments,
    list_suppressions,
    matcher_arguments,
    valid_author,
    valid_comment,
)
from vigilbase.models.rows import as_optional_moment, as_optional_text, as_text, as_uuid
from vigilbase.models.validation import require_type

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence as it is stored. Times are aware, in UTC; it holds from `starts_at` up to, but not at, `ends_at`.

    Without an `ends_at`, it holds until somebody ends it. One that was taken back before it began ends where it begins.
    """

    id: UUID
    service_glob: str | None
    tag: str | None
    starts_at: datetime
    ends_at: datetime | None
    author: str
    comment: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreateSilenceData:
    """A silence to be added, for the services whose name fits `service_glob`, or that have a tag: one of the two.

    It begins now unless `starts_at` says when, and ends at `ends_at` or after `length_s` seconds; without either, when
    somebody ends it.
    """

    author: str
    comment: str
    service_glob: str | None = None
    tag: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    length_s: float | None = None


class SilenceModel:
    """What can be done with silences. A namespace of static methods; there is nothing to instantiate.

    Every method raises `InvalidInputError` for a value that breaks a rule, before anything is written, and
    `DatabaseError` when the database fails. Now is what the database's clock says.
    """

    @staticmethod
    async def add(data: CreateSilenceData) -> Silence:
        """Add a silence and return it as it is stored. It can't begin in the past."""
        with reported(log, "silence.add"):
            silence = _silence(await add_suppression("silence", silence_arguments(data)))
        log.info("silence.added", id=str(silence.id), author=silence.author)
        return silence

    @staticmethod
    async def find_current() -> list[Silence]:
        """Those that hold now or are to begin, newest first, in one round trip."""
        return await _find()

    @staticmethod
    async def find_since(since: datetime) -> list[Silence]:
        """Those that are not over, and those that have ended since a moment, newest first."""
        return await _find(since=since)

    @staticmethod
    async def find_newest(*, limit: int = 100) -> list[Silence]:
        """The newest, at most `limit`, those that are over too."""
        return await _find(include_ended=True, limit=limit)

    @staticmethod
    async def find_by_id_prefix(prefix: str) -> list[Silence]:
        """Those whose id begins so (at least 4 hexadecimal digits, dashes as you like), 10 at the most, by id."""
        with reported(log, "silence.find_by_id_prefix"):
            silences = [_silence(row) for row in await find_suppressions("silence", prefix)]
        log.info("silence.found_by_id_prefix", count=len(silences))
        return silences

    @staticmethod
    async def end(id: UUID | str) -> tuple[Silence, bool] | None:  # noqa: A002
        """End a silence now, or take it back before it begins; return it, and whether that changed anything.

        None for an unknown id; what is over stays as it is.
        """
        with reported(log, "silence.end", id=str(id)):
            found = await end_suppression("silence", id)
            if found is None:
                return None
            silence, ended = _silence(found[0]), found[1]
        log.info("silence.ended", id=str(id), changed=ended)
        return silence, ended


def silence_arguments(data: CreateSilenceData) -> dict[str, Value]:
    """What makes a silence, every part checked.

    Raises:
        InvalidInputError: one breaks a rule.

    """
    require_type("data", data, CreateSilenceData)
    return {
        **matcher_arguments(data.service_glob, data.tag),
        **interval_arguments(data.starts_at, data.ends_at, data.length_s),
        "p_author": valid_author(data.author),
        "p_comment": valid_comment(data.comment),
    }


async def _find(
    *, include_ended: bool = False, since: datetime | None = None, limit: int | None = None
) -> list[Silence]:
    with reported(log, "silence.find"):
        rows = await list_suppressions("silence", include_ended=include_ended, since=since, limit=limit)
        silences = [_silence(row) for row in rows]
    log.info("silence.found", count=len(silences))
    return silences


def _silence(row: Row) -> Silence:
    return Silence(
        id=as_uuid(row["id"]),
        service_glob=as_optional_text(row["service_glob"]),
        tag=as_optional_text(row["tag"]),
        starts_at=as_moment(row["starts_at"]),
        ends_at=as_optional_moment(row["ends_at"]),
        author=as_text(row["author"]),
        comment=as_text(row["comment"]),
        created_at=as_optional_moment(row["created_at"]),
    )
