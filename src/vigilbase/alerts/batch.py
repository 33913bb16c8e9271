"""A batch: the notifications that go to a channel as one, and their text. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from vigilbase.alerts.outage import (
    find_end,
    find_reason,
    find_recovered_status,
    find_start,
    find_status,
    measure_length,
)
from vigilbase.domain import NotificationKind
from vigilbase.durations import format_duration
from vigilbase.models import AlertEvent
from vigilbase.times import format_utc

Severity = Literal["failure", "warning", "success", "info"]
"""How a receiver should show a batch, by a color or an icon."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened to one alert or to several, for one channel.

    `id` is the deduplication key; it and `at` (UTC) stay the same at every attempt. `kind` applies to all alerts, which
    are oldest first and as they stand now. An alert that was resolved before its trigger went out appears as `resolved`
    alone.
    """

    id: UUID
    kind: NotificationKind
    at: datetime
    alerts: Sequence[AlertEvent]


def find_severity(batch: Batch) -> Severity:
    """The severity of the worst alert, unless the batch is about resolutions or acknowledgements."""
    match batch.kind:
        case "resolved":
            return "success"
        case "acknowledged":
            return "info"
        case _:
            return "failure" if any(alert.alert_type == "service_down" for alert in batch.alerts) else "warning"


def render_title(batch: Batch) -> str:
    """One line: `website is down`, `3 services are down`, `website is healthy again after 3m 5s`."""
    if len(batch.alerts) != 1:
        return _render_title_of_several(batch)
    alert = batch.alerts[0]
    match batch.kind:
        case "triggered":
            return _describe_outage(alert)
        case "acknowledged":
            return f"{_name_service(alert)}: acknowledged"
        case "resolved":
            return _describe_end(alert)
        case "reminder":
            length = format_duration(measure_length(alert, batch.at))
            return f"Reminder: {_describe_outage(alert, 'still ')} after {length}"


def render_lines(batch: Batch, now: datetime | None = None) -> list[str]:
    """One line for each alert: the status, the error, since when, and for how long up to `now`."""
    return [_render_line(batch.kind, alert, now or batch.at) for alert in batch.alerts]


def render_text(batch: Batch, now: datetime | None = None) -> str:
    """The whole notification as plain text: the title, then a line for each alert."""
    return "\n".join([render_title(batch), "", *render_lines(batch, now)])


def _render_title_of_several(batch: Batch) -> str:
    count = len(batch.alerts)
    services = len({alert.service_name for alert in batch.alerts})
    if batch.kind == "acknowledged":
        return f"{count} alerts are acknowledged"
    if batch.kind == "resolved":
        all_healthy = services == count and all(find_recovered_status(alert) == "healthy" for alert in batch.alerts)
        return f"{count} services are healthy again" if all_healthy else f"{count} alerts are resolved"
    statuses = Counter(find_status(alert) for alert in batch.alerts)
    prefix, still = ("Reminder: ", "still ") if batch.kind == "reminder" else ("", "")
    # A service may have several open alerts, and other code's alerts say nothing about a status.
    if services != count or None in statuses:
        return f"{prefix}{count} alerts are {still}open"
    if len(statuses) == 1:
        return f"{prefix}{count} services are {still}{next(iter(statuses))}"
    return f"{prefix}{count} services are {still}not healthy: {statuses['down']} down, {statuses['degraded']} degraded"


def _render_line(kind: NotificationKind, alert: AlertEvent, now: datetime) -> str:
    reason = f": {find_reason(alert)}" if find_reason(alert) else ""
    start, end = find_start(alert, now), find_end(alert)
    if kind == "resolved" and end:
        return f"{_describe_end(alert)}{reason} (from {format_utc(start)} to {format_utc(end)})"
    still = "still " if kind == "reminder" else ""
    acknowledged = ", acknowledged" if alert.acknowledged_at else ""
    length = measure_length(alert, now)
    lasting = f", {format_duration(length)}" if length >= timedelta(seconds=1) else ""
    return f"{_describe_outage(alert, still)}{acknowledged}{reason} (since {format_utc(start)}{lasting})"


def _describe_outage(alert: AlertEvent, still: str = "") -> str:
    status = find_status(alert)
    return (
        f"{_name_service(alert)} is {still}{status}" if status else f"{_name_service(alert)}: {still}{alert.alert_type}"
    )


def _describe_end(alert: AlertEvent) -> str:
    name, status = _name_service(alert), find_status(alert)
    length = format_duration(measure_length(alert, find_end(alert) or datetime.min.replace(tzinfo=UTC)))
    if "superseded_by" in (alert.details or {}):
        return f"{name} was degraded for {length} and is down now"
    if not status:
        return f"{name}: resolved after {length}"
    match find_recovered_status(alert):
        case "healthy":
            return f"{name} is healthy again after {length}" + ("" if status == "down" else " degraded")
        case "degraded":
            return f"{name} is degraded after {length} down"
        case _:  # resolved manually, which says nothing about the service
            return f"{name} is no longer {status} after {length}"


def _name_service(alert: AlertEvent) -> str:
    # Other code may write a name with line breaks, which would split a title or a subject.
    return " ".join(alert.service_name.split())
