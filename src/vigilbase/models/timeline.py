"""Rows of `vigilbase.alert_timeline`: the events of an alert. SQL functions write them, this model reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row
from vigilbase.database.json_codec import parse_timestamp
from vigilbase.domain import JSON, TIMELINE_EVENTS, TimelineEvent
from vigilbase.logging import get_logger
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_object,
    as_optional_text,
    as_text,
    as_uuid,
    read_rows,
)
from vigilbase.models.validation import validate_choice, validate_id

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
            entries = [_read_entry(row) for row in read_rows(answer, f"call {function}")]
        log.info("timeline.found_by_alert", alert_id=str(alert_id), count=len(entries))
        return entries


def _read_entry(row: Row) -> TimelineEntry:
    return TimelineEntry(
        # A primary key is never NULL; `or 0` is for the type checker.
        id=as_optional_integer(row["id"]) or 0,
        alert_id=as_uuid(row["alert_id"]),
        service_name=as_text(row["service_name"]),
        # `revive` converts only columns whose names end in _at.
        at=parse_timestamp(as_text(row["at"])),
        event=validate_choice("event", row["event"], TIMELINE_EVENTS),
        author=as_optional_text(row["author"]),
        comment=as_optional_text(row["comment"]),
        details=as_optional_object(row["details"]),
    )
