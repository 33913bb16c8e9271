"""Silences and maintenance windows as JSON, as a table, and in sentences."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from rich.table import Table

from vigilbase.alerts.suppression import MAX_LOOKAHEAD, SHORT_ID, find_active_until, find_next_start
from vigilbase.domain import JSON
from vigilbase.durations import format_duration
from vigilbase.models import Suppression
from vigilbase.models.suppression import SuppressionKind
from vigilbase.times import format_json_time, format_time
from vigilbase.views.terminal import Column, escape, make_table

NOUNS: Mapping[SuppressionKind, str] = {"silence": "silence", "maintenance": "maintenance window"}
COLUMNS = (
    Column("id"),
    Column("services"),
    Column("active"),
    Column("schedule", drop=2, wraps=True),
    Column("from", drop=5),
    Column("until", drop=3),
    Column("by", drop=4),
    Column("comment", drop=1, wraps=True),
)


def make_suppression_json(suppression: Suppression) -> Mapping[str, JSON]:
    """A silence or maintenance window as every command with --json has it."""
    recurrence = suppression.recurrence
    return {
        "id": str(suppression.id),
        "service_glob": suppression.service_glob,
        "tag": suppression.tag,
        "starts_at": format_json_time(suppression.starts_at),
        "ends_at": format_json_time(suppression.ends_at),
        "cron": recurrence.cron if recurrence else None,
        "duration_s": recurrence.duration_s if recurrence else None,
        "time_zone": recurrence.time_zone if recurrence else None,
        "author": suppression.author,
        "comment": suppression.comment,
        "created_at": format_json_time(suppression.created_at),
    }


def make_suppressions_table(suppressions: Sequence[Suppression], now: datetime, width: int) -> Table:
    """A row for each; the schedule appears if any of them recurs."""
    recurs = any(suppression.recurrence for suppression in suppressions)
    columns = [column for column in COLUMNS if recurs or column.heading != "schedule"]
    rows = []
    for suppression in suppressions:
        cells = {
            "id": str(suppression.id)[:SHORT_ID],
            "services": describe_services(suppression),
            "active": describe_state(suppression, now),
            "schedule": describe_schedule(suppression),
            "from": format_time(suppression.starts_at),
            "until": describe_end(suppression),
            "by": escape(suppression.author).plain,
            "comment": escape(suppression.comment).plain,
        }
        rows.append([cells[column.heading] for column in columns])
    return make_table(columns, rows, width)


def describe_services(suppression: Suppression) -> str:
    """The pattern, or `tag shop`."""
    if suppression.service_glob is not None:
        return escape(suppression.service_glob).plain
    return escape(f"tag {suppression.tag}").plain


def describe_state(suppression: Suppression, now: datetime) -> str:
    """`now`, `in 3d 17h`, `ended` or `cancelled`."""
    if find_active_until(suppression, now, now + MAX_LOOKAHEAD) is not None:
        return "now"
    # Cancelling one that has not begun sets its end to its start.
    if suppression.ends_at is not None and suppression.ends_at <= suppression.starts_at:
        return "cancelled"
    start = find_next_start(suppression, now)
    return "ended" if start is None else f"in {format_duration(start - now)}"


def describe_schedule(suppression: Suppression) -> str:
    """`once`, or `0 3 * * 0 for 2h, Europe/Berlin`."""
    recurrence = suppression.recurrence
    if recurrence is None:
        return "once"
    duration = format_duration(timedelta(seconds=recurrence.duration_s))
    return f"{escape(recurrence.cron)} for {duration}, {escape(recurrence.time_zone)}"


def describe_end(suppression: Suppression) -> str:
    """A time, or `ended` for one that lasts until it is ended, as the option --until spells it."""
    return "ended" if suppression.ends_at is None else format_time(suppression.ends_at)


def describe_created(suppression: Suppression, now: datetime) -> str:
    """`Silence 4f3a21c9: shop-*, active now, until 2026-12-01T08:00:00Z.`."""
    state = describe_state(suppression, now)
    when = "active now" if state == "now" else f"starts {state}"
    schedule = f", {describe_schedule(suppression)}" if suppression.recurrence else ""
    return (
        f"{_name(suppression)}: {describe_services(suppression)}{schedule}, {when}, until {describe_end(suppression)}."
    )


def describe_ended(suppression: Suppression, now: datetime, *, has_changed: bool) -> str:
    """What ending it has done."""
    name = f"{_name(suppression)} ({describe_services(suppression)})"
    if not has_changed:
        return f"{name} had ended already."
    # A cancelled one ends at its start, which is still ahead.
    was_ahead = suppression.ends_at is not None and suppression.ends_at > now
    return f"{name} is {'cancelled' if was_ahead else 'ended'}."


def _name(suppression: Suppression) -> str:
    return f"{NOUNS[suppression.kind].capitalize()} {str(suppression.id)[:SHORT_ID]}"
