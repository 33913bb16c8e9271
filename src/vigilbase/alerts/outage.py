"""When an outage began and ended, how long it lasted, and why: the one place that decides it. Pure.

An outage lasts from the first check that was worse to the first check that was better, so every length that Vigilbase
shows is the same, whenever the alert itself was written and resolved.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from vigilbase.domain import AlertType
from vigilbase.models import AlertEvent

MAX_REASON_LENGTH = 500
_STATUSES: Mapping[AlertType, str] = {"service_down": "down", "service_degraded": "degraded"}


def find_status(alert: AlertEvent) -> str | None:
    """`down` or `degraded`; None for an alert of another type."""
    return _STATUSES.get(alert.alert_type)


def find_start(alert: AlertEvent, otherwise: datetime) -> datetime:
    """When the first of the checks ran that opened the alert, or else when the alert was written."""
    return _parse_moment(alert, f"{find_status(alert)}_since") or alert.created_at or otherwise


def find_end(alert: AlertEvent) -> datetime | None:
    """When the first of the checks ran that ended it, or else when the alert was resolved; None while it is open."""
    return alert.resolved_at and (_parse_moment(alert, "recovered_at") or alert.resolved_at)


def measure_length(alert: AlertEvent, now: datetime) -> timedelta:
    """How long the outage lasted, or how long it has lasted so far."""
    # If a clock is set back, the end may precede the start.
    return max((find_end(alert) or now) - find_start(alert, now), timedelta(0))


def find_recovered_status(alert: AlertEvent) -> object:
    """The status after the outage; None for an alert that someone resolved manually."""
    return (alert.details or {}).get("recovered_to")


def find_reason(alert: AlertEvent) -> str:
    """The last error, or else what the alert says beyond the status, in one line of at most 500 characters."""
    error = (alert.details or {}).get("last_error")
    text = error if isinstance(error, str) and error else _strip_status(alert)
    return truncate(" ".join(text.split()), MAX_REASON_LENGTH)


def truncate(text: str, max_length: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def _strip_status(alert: AlertEvent) -> str:
    status = find_status(alert)
    prefix = f"{alert.service_name} is {status}" if status else f"{alert.service_name}: {alert.alert_type}"
    return (alert.message or "").removeprefix(prefix).removeprefix(": ")


def _parse_moment(alert: AlertEvent, key: str) -> datetime | None:
    """A time of the details in UTC. Details that other programs wrote may hold anything, which counts as None."""
    value = (alert.details or {}).get(key)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC) if moment else None
    except (ValueError, OverflowError):
        return None
