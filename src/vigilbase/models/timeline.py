"""Rows of `vigilbase.alert_timeline`: the events of an alert. SQL functions write them, this model reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row
from vigilbase.domain import JSON, TIMELINE_EVENTS, TimelineEvent
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    get_choice,
    get_integer,
    get_moment,
    get_optional_object,
    get_optional_text,
    get_text,
    get_uuid,
)
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.rows import read_items, read_rows
from vigilbase.models.validation import validate_id

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A row of the timeline; `id` is a number, `at` is aware, in UTC.

    When an alert opens or resolves, `details` has the `reason`; for a notification, its `channel`, `kind`, `attempts`,
    `answer`, `error`, `batch_id` and `suppressed_by`.
    """

    id: int
    alert_id: UUID
    service_name: str
    at: datetime
    event: TimelineEvent
    author: str | None
    comment: str | None
    details: Mapping[str, JSON] | None


class TimelineModel:
    """Reads timelines."""

    @staticmethod
    async def find_by_alert(alert_id: UUID | str) -> list[TimelineEntry]:
        """The entries of an alert, in order; none for an unknown id.

        Raises:
            InvalidInputError: the id is not a UUID.
            DatabaseError: the database fails.

        """
        with log_failures(log, "timeline.find_by_alert", alert_id=str(alert_id)):
            function = "vigilbase_list_timeline"
            answer = await get_supabase_service_client().call(function, {"p_alert_id": validate_id(alert_id)})
            rows = read_rows(answer, f"call {function}")
            entries = read_items(rows, _read_entry, f"call {function}", log, "timeline_entry")
        log.info("timeline.found_by_alert", alert_id=str(alert_id), count=len(entries))
        return entries


def _read_entry(row: Row) -> TimelineEntry:
    return TimelineEntry(
        id=get_integer(row, "id"),
        alert_id=get_uuid(row, "alert_id"),
        service_name=get_text(row, "service_name"),
        at=get_moment(row, "at"),
        event=get_choice(row, "event", TIMELINE_EVENTS),
        author=get_optional_text(row, "author"),
        comment=get_optional_text(row, "comment"),
        details=get_optional_object(row, "details"),
    )
