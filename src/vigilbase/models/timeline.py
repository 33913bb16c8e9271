"""Rows of `vigilbase.alert_timeline`: what happened to an alert, entry by entry. SQL functions add them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row
from vigilbase.database.values import parse_timestamp
from vigilbase.logging import get_logger
from vigilbase.models.attempts import reported
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_object,
    as_optional_text,
    as_text,
    as_uuid,
    rows_from,
)
from vigilbase.models.validation import valid_id, valid_word
from vigilbase.vocabulary import JSON, TIMELINE_EVENTS, TimelineEvent

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An entry as it is stored; `id` is a number, `at` is aware, in UTC.

    `details` of what opened or resolved an alert hold the `reason`; those of a delivery its `channel`, `kind`,
    `attempts`, `answer`, `error`, `batch_id` and `suppressed_by`.
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
    """What can be done with timelines. A namespace of static methods; there is nothing to instantiate."""

    @staticmethod
    async def find_by_alert(alert_id: UUID | str) -> list[TimelineEntry]:
        """All that happened to an alert, in order; nothing for an unknown id.

        Raises:
            InvalidInputError: that is no id.
            DatabaseError: the database fails.

        """
        with reported(log, "timeline.find_by_alert", alert_id=str(alert_id)):
            function = "vigilbase_list_timeline"
            answer = await get_supabase_service_client().call(function, {"p_alert_id": valid_id(alert_id)})
            entries = [_entry(row) for row in rows_from(answer, f"call {function}")]
        log.info("timeline.found_by_alert", alert_id=str(alert_id), count=len(entries))
        return entries


def _entry(row: Row) -> TimelineEntry:
    return TimelineEntry(
        id=as_optional_integer(row["id"]) or 0,
        alert_id=as_uuid(row["alert_id"]),
        service_name=as_text(row["service_name"]),
        at=parse_timestamp(as_text(row["at"])),
        event=valid_word("event", row["event"], TIMELINE_EVENTS),
        author=as_optional_text(row["author"]),
        comment=as_optional_text(row["comment"]),
        details=as_optional_object(row["details"]),
    )
