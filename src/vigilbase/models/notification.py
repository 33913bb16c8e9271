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
from vigilbase.models.instrumentation import log_failures
from vigilbase.models.retention import delete_in_batches
from vigilbase.models.rows import (
    as_optional_integer,
    as_optional_moment,
    as_optional_text,
    as_text,
    as_uuid,
    make_unexpected_answer_error,
    read_row,
    read_rows,
)
from vigilbase.models.validation import validate_author, validate_choice, validate_id, validate_limit

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
            words = [validate_choice("statuses", status, NOTIFICATION_STATUSES) for status in statuses]
            answer = await get_supabase_service_client().call(
                function,
                {
                    "p_statuses": json.dumps(words),
                    "p_limit": validate_limit(limit),
                    "p_alert_id": None if alert_id is None else validate_id(alert_id),
                    "p_windows": json.dumps(dict(windows or {})),
                },
            )
            notifications = [_read_notification(row) for row in read_rows(answer, f"call {function}")]
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
                return None
            notification, fields = _read_answer(answer, function)
            outcome = validate_choice("outcome", fields["outcome"], RETRY_OUTCOMES)
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
                return None
            notification, fields = _read_answer(answer, function)
            is_discarded = fields["is_discarded"] is True
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


def _read_answer(answer: JSON, function: str) -> tuple[Notification, Mapping[str, JSON]]:
    """The notification in an answer, and the answer's other fields."""
    row = read_row(answer.get("notification"), f"call {function}") if isinstance(answer, Mapping) else None
    if row is None or not isinstance(answer, Mapping):
        raise make_unexpected_answer_error(f"call {function}")
    return _read_notification(row), answer


def _validate_number(number: object) -> int:
    # bool is a subclass of int, so True would be notification 1.
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= MAX_ID:
        raise InvalidInputError("id", "must be the number of a notification")
    return number


def _read_notification(row: Row) -> Notification:
    return Notification(
        # A primary key is never NULL; `or 0` is for the type checker.
        id=as_optional_integer(row["id"]) or 0,
        alert_id=as_uuid(row["alert_id"]),
        service_name=as_text(row["service_name"]),
        channel=as_text(row["channel"]),
        kind=validate_choice("kind", row["kind"], NOTIFICATION_KINDS),
        status=validate_choice("status", row["status"], NOTIFICATION_STATUSES),
        attempts=as_optional_integer(row["attempts"]) or 0,
        due_at=as_optional_moment(row["due_at"]),
        batch_id=as_uuid(row["batch_id"]) if row["batch_id"] else None,
        answer=as_optional_text(row["answer"]),
        last_error=as_optional_text(row["last_error"]),
        suppressed_by=as_optional_text(row["suppressed_by"]),
        created_at=as_optional_moment(row["created_at"]),
        ended_at=as_optional_moment(row["ended_at"]),
        # Only lists have these three; retry and discard return a row of the table.
        is_needed=row.get("is_needed") is not False,
        waits_for=as_optional_text(row.get("waits_for")),
        next_attempt_at=as_optional_moment(row.get("next_attempt_at")),
    )
