"""Notifications as JSON, as tables, and in sentences: why one has not been sent, and what comes next."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from vigilbase.domain import JSON
from vigilbase.durations import format_duration
from vigilbase.models import Notification
from vigilbase.times import format_ago, format_json_time
from vigilbase.views.terminal import Column, escape, make_table

COLUMNS = (
    Column("id", is_number=True),
    Column("service"),
    Column("channel"),
    Column("kind", drop=3),
    Column("status"),
    Column("attempts", drop=4, is_number=True),
    Column("created", drop=5),
    Column("next attempt", drop=2, wraps=True),
    Column("answer", drop=1, wraps=True),
)
UNFINISHED_COLUMNS = (
    Column("id", is_number=True),
    Column("channel"),
    Column("kind"),
    Column("next attempt", wraps=True),
    Column("answer", drop=1, wraps=True),
)

# What a pending notification waits for: the codes of the view vigilbase.pending_notifications.
_WAITS = {
    "not_needed": "never: it is not needed any more",
    "worker": "being sent",
    "channel_disabled": "when its channel is enabled",
    "suppression": "when the suppression ends",
    "earlier": "after an earlier one",
    "resolution": "after the last outage's resolution",
}
_DELAYS = {"channel_pause": ", as the receiver requested", "window": ", in a batch"}


def make_notification_json(notification: Notification) -> Mapping[str, JSON]:
    """A notification as every command with --json has it."""
    return {
        "id": notification.id,
        "alert_id": str(notification.alert_id),
        "service_name": notification.service_name,
        "channel": notification.channel,
        "kind": notification.kind,
        "status": notification.status,
        "attempts": notification.attempts,
        "due_at": format_json_time(notification.due_at),
        "batch_id": str(notification.batch_id) if notification.batch_id else None,
        "answer": notification.answer,
        "last_error": notification.last_error,
        "suppressed_by": notification.suppressed_by,
        "waits_for": notification.waits_for,
        "next_attempt_at": format_json_time(notification.next_attempt_at),
        "created_at": format_json_time(notification.created_at),
        "ended_at": format_json_time(notification.ended_at),
    }


def make_notifications_table(
    notifications: Sequence[Notification], windows: Mapping[str, float] | None, now: datetime, width: int
) -> Table:
    """A row for each notification. `windows` has the channels of the file; None if it could not be read."""
    rows = [
        (
            str(notification.id),
            escape(notification.service_name),
            escape(notification.channel),
            notification.kind,
            notification.status,
            str(notification.attempts),
            format_ago(notification.created_at, now),
            describe_next_attempt(notification, windows, now),
            escape(describe_answer(notification)),
        )
        for notification in notifications
    ]
    return make_table(COLUMNS, rows, width)


def make_unfinished_table(
    notifications: Sequence[Notification], windows: Mapping[str, float] | None, now: datetime, width: int
) -> Table:
    """The pending and failed notifications of one alert."""
    rows = [
        (
            str(notification.id),
            escape(notification.channel),
            notification.kind,
            "failed" if notification.status == "failed" else describe_next_attempt(notification, windows, now),
            escape(describe_answer(notification)),
        )
        for notification in notifications
    ]
    return make_table(UNFINISHED_COLUMNS, rows, width)


def describe_next_attempt(notification: Notification, windows: Mapping[str, float] | None, now: datetime) -> str:
    """When a pending notification is sent, or what has to happen first; nothing for one that isn't pending."""
    if notification.status != "pending":
        return ""
    # Before all other reasons, since no worker claims for a channel that its file doesn't name.
    if windows is not None and notification.channel not in windows:
        return "never: the file doesn't name its channel"
    if notification.waits_for in _WAITS:
        return _WAITS[notification.waits_for]
    if notification.next_attempt_at is None or notification.next_attempt_at <= now:
        return "now"
    wait = max(notification.next_attempt_at - now, timedelta(seconds=1))
    return f"in {format_duration(wait)}{_DELAYS.get(notification.waits_for or '', '')}"


def describe_answer(notification: Notification) -> str:
    """The receiver's answer, or why there is none."""
    if notification.status == "delivered":
        return notification.answer or ""
    # `suppressed_by` stays when the suppression has ended, so by itself it isn't the reason.
    is_suppressed = notification.waits_for == "suppression" or notification.status == "cancelled"
    if is_suppressed and notification.suppressed_by:
        return f"suppressed by {notification.suppressed_by}"
    return notification.last_error or ""
