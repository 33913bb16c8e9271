"""The timeline of an alert as JSON and as a table."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from vigilbase.alerts.outage import measure_length
from vigilbase.domain import JSON
from vigilbase.durations import format_duration
from vigilbase.models import AlertEvent, TimelineEntry
from vigilbase.times import format_json_time, format_time
from vigilbase.views.terminal import Column, escape, make_table

COLUMNS = (Column("time"), Column("event"), Column("", wraps=True))

# Why a notification is cancelled: codes of the function vigilbase.cancel_unneeded.
_REASONS = {"resolved": "the alert is resolved", "acknowledged": "the alert is acknowledged"}


def make_timeline_entry_json(entry: TimelineEntry) -> Mapping[str, JSON]:
    """An entry as `alerts show --json` has it."""
    return {
        "at": format_json_time(entry.at),
        "event": entry.event,
        "author": entry.author,
        "comment": entry.comment,
        "details": entry.details,
    }


def make_timeline_table(alert: AlertEvent, entries: Sequence[TimelineEntry], width: int) -> Table:
    """A row for each entry, oldest first."""
    rows = [
        (format_time(entry.at), entry.event.replace("_", " "), escape(_describe_entry(alert, entry)))
        for entry in entries
    ]
    return make_table(COLUMNS, rows, width)


def _describe_entry(alert: AlertEvent, entry: TimelineEntry) -> str:
    details = entry.details or {}
    author = ": ".join(filter(None, [f"by {entry.author}" if entry.author else "", entry.comment]))
    # Only entries about a notification have a channel.
    parts = [author, _describe_notification(details) if "channel" in details else _get_text(details, "reason")]
    if entry.event == "resolved":
        parts.append(f"after {format_duration(measure_length(alert, entry.at))}")
    return "; ".join(filter(None, parts))


def _describe_notification(details: Mapping[str, JSON]) -> str:
    """The channel and kind, the receiver's answer or the error, the attempt, and what suppressed it."""
    attempts = details.get("attempts")
    answer = _get_text(details, "error") or _get_text(details, "answer")
    suppressed_by = _get_text(details, "suppressed_by")
    earlier = "earlier " if attempts else ""
    parts = [
        f"{_get_text(details, 'channel')}: {_get_text(details, 'kind')}",
        answer or _REASONS.get(_get_text(details, "reason"), ""),
        f"attempt {attempts}" if attempts else "",
        f"{earlier}suppressed by {suppressed_by}" if suppressed_by else "",
    ]
    return ", ".join(filter(None, parts))


def _get_text(details: Mapping[str, JSON], name: str) -> str:
    value = details.get(name)
    return value if isinstance(value, str) else ""
