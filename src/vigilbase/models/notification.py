"""Rows of `vigilbase.notifications`, the outbox: one thing to say about one alert to one channel."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

from vigilbase.config.supabase import get_supabase_service_client
from vigilbase.database.client import Row, Value
from vigilbase.domain import JSON, NOTIFICATION_KINDS, NOTIFICATION_STATUSES, NotificationKind, NotificationStatus
from vigilbase.errors import InvalidInputError
from vigilbase.logging import get_logger
from vigilbase.models.columns import (
    get_choice,
    get_flag,
    get_integer,
    get_optional_moment,
    get_optional_text,
    get_optional_uuid,
    get_text,
    get_uuid,
)
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.retention import delete_in_batches
from vigilbase.models.rows import read_item, read_items, read_row, read_rows
from vigilbase.models.validation import (
    validate_author,
    validate_choice,
    validate_details,
    validate_id,
    validate_limit,
)

log = get_logger(__name__)

# The largest Postgres bigint.
MAX_ID = 2**63 - 1
RetryOutcome: TypeAlias = Literal["requeued", "not_failed", "resolved", "acknowledged"]
RETRY_OUTCOMES: tuple[RetryOutcome, ...] = get_args(RetryOutcome)


@dataclass(frozen=True, slots=True)
class Notification:
    """A row of the outbox; `id` is a number. Times are aware, in UTC.

    `batch_id` is the deduplication key of the batch that it is sent in, set by the first attempt. `suppressed_by`
    describes the silence or maintenance window that suppresses or suppressed it. While it is pending, `waits_for` is a
    code of the view `vigilbase.pending_notifications` (None if it may be sent now) and `next_attempt_at` is when it may
    be sent. `is_needed` is false if a change of its alert has made it pointless.
    """

    id: int
    alert_id: UUID
    service_name: str
    channel: str
    kind: NotificationKind
    status: NotificationStatus
    attempts: int
    due_at: datetime | None
    batch_id: UUID | None
    answer: str | None
    last_error: str | None
    suppressed_by: str | None
    created_at: datetime | None
    ended_at: datetime | None
    is_needed: bool = True
    waits_for: str | None = None
    next_attempt_at: datetime | None = None


class NotificationModel:
    """Reads, retries and discards notifications; `notifications/outbox.py` sends them.

    Every method raises `InvalidInputError` for a value that breaks a rule, and `DatabaseError` when the database fails.
    """

    @staticmethod
    async def find(
        *,
        statuses: Sequence[NotificationStatus] = NOTIFICATION_STATUSES,
        limit: int = 100,
        alert_id: UUID | str | None = None,
        windows: Mapping[str, float] | None = None,
    ) -> list[Notification]:
        """The newest notifications with one of these statuses, at most `limit`, of one alert or of all.

        `windows`: the seconds for which each channel collects a batch, for `next_attempt_at`.
        """
        with log_failures(log, "notification.find"):
            function = "vigilbase_list_notifications"
            if isinstance(statuses, str) or not isinstance(statuses, Sequence):
                raise InvalidInputError("statuses", f"must be a sequence, not a {type(statuses).__name__}")
            words = [validate_choice("statuses", status, NOTIFICATION_STATUSES) for status in statuses]
            answer = await get_supabase_service_client().call(
                function,
                {
                    "p_statuses": json.dumps(words),
                    "p_limit": validate_limit(limit),
                    "p_alert_id": None if alert_id is None else validate_id(alert_id),
                    "p_windows": json.dumps(_validate_windows(windows)),
                },
            )
            rows = read_rows(answer, f"call {function}")
            notifications = read_items(rows, _read_notification, f"call {function}", log, "notification")
        log.info("notification.found", count=len(notifications))
        return notifications

    @staticmethod
    async def retry(id: int, *, author: str | None = None) -> tuple[Notification, RetryOutcome] | None:  # noqa: A002
        """Send a failed notification again, under the same batch id; None for an unknown id.

        Returns it with the outcome: "requeued"; or, when it stays as it is, "not_failed", or "resolved" or
        "acknowledged" when for that reason it isn't needed any more.
        """
        with log_failures(log, "notification.retry", id=id):
            function = "vigilbase_retry_notification"
            answer = await get_supabase_service_client().call(function, _make_arguments(id, author))
            if answer is None:
                log.info("notification.retried", id=id, found=False)
                return None
            notification, fields = _read_answer(answer, function)
            outcome = read_item(fields, lambda row: get_choice(row, "outcome", RETRY_OUTCOMES), f"call {function}")
        log.info("notification.retried", id=id, outcome=outcome)
        return notification, outcome

    @staticmethod
    async def discard(id: int, *, author: str | None = None) -> tuple[Notification, bool] | None:  # noqa: A002
        """Cancel a notification that failed, or that is pending and not being sent; None for an unknown id.

        Returns it, and whether it could be discarded.
        """
        with log_failures(log, "notification.discard", id=id):
            function = "vigilbase_discard_notification"
            answer = await get_supabase_service_client().call(function, _make_arguments(id, author))
            if answer is None:
                log.info("notification.discarded", id=id, found=False)
                return None
            notification, fields = _read_answer(answer, function)
            is_discarded = read_item(fields, lambda row: get_flag(row, "is_discarded"), f"call {function}")
        log.info("notification.discarded", id=id, is_discarded=is_discarded)
        return notification, is_discarded

    @staticmethod
    async def delete_older_than(days: int) -> int:
        """Delete the notifications and timelines written more than `days` ago, except those of open alerts."""
        with log_failures(log, "notification.delete_older_than"):
            deleted = await delete_in_batches("vigilbase_delete_notifications", days)
        log.info("notification.deleted_older_than", days=days, count=deleted)
        return deleted


def _make_arguments(number: object, author: str | None) -> dict[str, Value]:
    return {"p_id": _validate_number(number), "p_author": None if author is None else validate_author(author)}


def _read_answer(answer: JSON, function: str) -> tuple[Notification, Row]:
    """The notification in an answer, and the answer's other fields."""
    fields = read_row(answer, f"call {function}") or {}
    row = read_row(fields.get("notification"), f"call {function}")
    return read_item(row, _read_notification, f"call {function}"), fields


def _validate_windows(windows: object) -> Mapping[str, JSON]:
    seconds = validate_details("windows", windows) or {}
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in seconds.values()):
        raise InvalidInputError("windows", "must hold a number of seconds for each channel")
    return seconds


def _validate_number(number: object) -> int:
    # bool is a subclass of int, so True would be notification 1.
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_ID:
        raise InvalidInputError("id", "must be the number of a notification")
    return number


def _read_notification(row: Row) -> Notification:
    return Notification(
        id=get_integer(row, "id"),
        alert_id=get_uuid(row, "alert_id"),
        service_name=get_text(row, "service_name"),
        channel=get_text(row, "channel"),
        kind=get_choice(row, "kind", NOTIFICATION_KINDS),
        status=get_choice(row, "status", NOTIFICATION_STATUSES),
        attempts=get_integer(row, "attempts"),
        due_at=get_optional_moment(row, "due_at"),
        batch_id=get_optional_uuid(row, "batch_id"),
        answer=get_optional_text(row, "answer"),
        last_error=get_optional_text(row, "last_error"),
        suppressed_by=get_optional_text(row, "suppressed_by"),
        created_at=get_optional_moment(row, "created_at"),
        ended_at=get_optional_moment(row, "ended_at"),
        # Only lists have these three; retry and discard return a row of the table.
        is_needed=row.get("is_needed") is not False,
        waits_for=get_optional_text({"waits_for": None, **row}, "waits_for"),
        next_attempt_at=get_optional_moment({"next_attempt_at": None, **row}, "next_attempt_at"),
    )
