"""Maintenance windows, rows of `vigilbase.suppressions`: when which services are worked on, and why."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.database.client import Row, Value
from vigilbase.errors import InvalidInputError
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
from vigilbase.models.recurrence import valid_cron, valid_time_zone
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_moment,
    as_optional_text,
    as_text,
    as_uuid,
)
from vigilbase.models.validation import require_type, valid_integer

log = get_logger(__name__)

SHORTEST_S = 60
LONGEST_S = 31 * 86_400


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When it comes again: a cron expression by the clocks of an IANA time zone, each time for `duration_s` seconds.

    The seconds are those that pass: two hours are two hours also in a night in which the clocks change.
    """

    cron: str
    duration_s: int
    time_zone: str


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A maintenance window as it is stored. Times are aware, in UTC.

    It holds from `starts_at` up to, but not at, `ends_at`; with a recurrence, only at its times within these bounds,
    and without an `ends_at` until somebody ends it.
    """

    id: UUID
    service_glob: str | None
    tag: str | None
    starts_at: datetime
    ends_at: datetime | None
    recurrence: Recurrence | None
    author: str
    comment: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreateMaintenanceData:
    """A maintenance window to be added, for services whose name fits `service_glob`, or that have a tag.

    It begins now unless `starts_at` says when, and ends at `ends_at` or after `length_s` seconds. Only one with a
    recurrence needs neither.
    """

    author: str
    comment: str
    service_glob: str | None = None
    tag: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    length_s: float | None = None
    recurrence: Recurrence | None = None


class MaintenanceModel:
    """What can be done with maintenance windows. A namespace of static methods; there is nothing to instantiate.

    Every method raises `InvalidInputError` for a value that breaks a rule, before anything is written, and
    `DatabaseError` when the database fails. Now is what the database's clock says.
    """

    @staticmethod
    async def add(data: CreateMaintenanceData) -> MaintenanceWindow:
        """Add a maintenance window and return it as it is stored. It can't begin in the past."""
        with reported(log, "maintenance.add"):
            window = _window(await add_suppression("maintenance", maintenance_arguments(data)))
        log.info("maintenance.added", id=str(window.id), author=window.author)
        return window

    @staticmethod
    async def find_current() -> list[MaintenanceWindow]:
        """Those that are not over: they hold now, or will; newest first, in one round trip."""
        return await _find()

    @staticmethod
    async def find_since(since: datetime) -> list[MaintenanceWindow]:
        """Those that are not over, and those that have ended since a moment, newest first."""
        return await _find(since=since)

    @staticmethod
    async def find_newest(*, limit: int = 100) -> list[MaintenanceWindow]:
        """The newest, at most `limit`, those that are over too."""
        return await _find(include_ended=True, limit=limit)

    @staticmethod
    async def find_by_id_prefix(prefix: str) -> list[MaintenanceWindow]:
        """Those whose id begins so (at least 4 hexadecimal digits, dashes as you like), 10 at the most, by id."""
        with reported(log, "maintenance.find_by_id_prefix"):
            windows = [_window(row) for row in await find_suppressions("maintenance", prefix)]
        log.info("maintenance.found_by_id_prefix", count=len(windows))
        return windows

    @staticmethod
    async def end(id: UUID | str) -> tuple[MaintenanceWindow, bool] | None:  # noqa: A002
        """End a window now and for good, or take it back before it begins; return it, and whether that changed it.

        None for an unknown id; what is over stays as it is.
        """
        with reported(log, "maintenance.end", id=str(id)):
            found = await end_suppression("maintenance", id)
            if found is None:
                return None
            window, ended = _window(found[0]), found[1]
        log.info("maintenance.ended", id=str(id), changed=ended)
        return window, ended


def maintenance_arguments(data: CreateMaintenanceData) -> dict[str, Value]:
    """What makes a maintenance window, every part checked.

    Raises:
        InvalidInputError: one breaks a rule.

    """
    require_type("data", data, CreateMaintenanceData)
    if data.recurrence is None and data.ends_at is None and data.length_s is None:
        raise InvalidInputError("ends_at", "must be given for what comes once, or length_s")
    return {
        **matcher_arguments(data.service_glob, data.tag),
        **interval_arguments(data.starts_at, data.ends_at, data.length_s),
        **_recurrence_arguments(data.recurrence),
        "p_author": valid_author(data.author),
        "p_comment": valid_comment(data.comment),
    }


async def _find(
    *, include_ended: bool = False, since: datetime | None = None, limit: int | None = None
) -> list[MaintenanceWindow]:
    with reported(log, "maintenance.find"):
        rows = await list_suppressions("maintenance", include_ended=include_ended, since=since, limit=limit)
        windows = [_window(row) for row in rows]
    log.info("maintenance.found", count=len(windows))
    return windows


def _recurrence_arguments(recurrence: object) -> dict[str, Value]:
    if recurrence is None:
        return {"p_cron": None, "p_duration_s": None, "p_time_zone": None}
    if not isinstance(recurrence, Recurrence):
        raise InvalidInputError("recurrence", f"must be a Recurrence, not a {type(recurrence).__name__}")
    return {
        "p_cron": valid_cron(recurrence.cron),
        "p_duration_s": valid_integer("duration_s", recurrence.duration_s, least=SHORTEST_S, most=LONGEST_S),
        "p_time_zone": valid_time_zone(recurrence.time_zone),
    }


def _window(row: Row) -> MaintenanceWindow:
    cron = as_optional_text(row["cron"])
    return MaintenanceWindow(
        id=as_uuid(row["id"]),
        service_glob=as_optional_text(row["service_glob"]),
        tag=as_optional_text(row["tag"]),
        starts_at=as_moment(row["starts_at"]),
        ends_at=as_optional_moment(row["ends_at"]),
        recurrence=None
        if cron is None
        else Recurrence(cron, as_optional_integer(row["duration_s"]) or 0, as_text(row["time_zone"])),
        author=as_text(row["author"]),
        comment=as_text(row["comment"]),
        created_at=as_optional_moment(row["created_at"]),
    )
