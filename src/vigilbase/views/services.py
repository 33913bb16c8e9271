"""The status of services as JSON, as a table, and in remarks below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text

from vigilbase.alerts.alert_json import make_alert_json
from vigilbase.domain import JSON
from vigilbase.models import AlertEvent, ServiceHealthCheck
from vigilbase.times import format_ago, format_json_time
from vigilbase.views.alerts import summarize_alert
from vigilbase.views.checks import format_latency
from vigilbase.views.terminal import STATUS_TEXTS, Column, escape, make_table

MAX_NAMES = 5  # in one sentence

COLUMNS = (
    Column("service"),
    Column("status"),
    Column("latency", drop=3, is_number=True),
    Column("checked", drop=2),
    Column("alert", drop=1),
    Column("error", wraps=True),
)


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """A service's latest check and open alert, and what the file says about it.

    `is_monitored`: whether the file names it. `is_stale`: whether a newer check is overdue. Both are None without a
    readable file. `suppressed_by` describes what suppresses its notifications now.
    """

    check: ServiceHealthCheck
    alert: AlertEvent | None
    is_monitored: bool | None
    is_stale: bool | None
    suppressed_by: str | None


def make_service_status_json(service: ServiceStatus) -> Mapping[str, JSON]:
    """A service as `status --json` has it."""
    check = service.check
    return {
        "service_name": check.service_name,
        "status": check.status,
        "latency_ms": check.latency_ms,
        "checked_at": format_json_time(check.checked_at),
        "is_monitored": service.is_monitored,
        "is_stale": service.is_stale,
        "error_message": check.error_message,
        "suppressed_by": service.suppressed_by,
        "alert": make_alert_json(service.alert) if service.alert else None,
    }


def make_status_table(services: Sequence[ServiceStatus], now: datetime, width: int) -> Table:
    """A row for each service."""
    rows = [
        (
            escape(service.check.service_name),
            STATUS_TEXTS[service.check.status],
            format_latency(service.check.latency_ms),
            _format_checked(service, now),
            summarize_alert(service.alert, now) if service.alert else "",
            escape(service.check.error_message),
        )
        for service in services
    ]
    return make_table(COLUMNS, rows, width)


def describe_status(services: Sequence[ServiceStatus], file: Path) -> Iterator[str]:
    """Remarks on alerts that nothing will end, and on suppressed notifications."""
    if any(service.alert and service.is_monitored is False for service in services):
        yield f"An alert of a service that {file} doesn't name stays open until you run `vigilbase alerts resolve ID`"
    names_by_suppression: dict[str, list[str]] = {}
    for service in services:
        if service.suppressed_by:
            names = names_by_suppression.setdefault(service.suppressed_by, [])
            names.append(escape(service.check.service_name).plain)
    for by, names in names_by_suppression.items():
        more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
        yield f"Notifications about {', '.join(names[:MAX_NAMES])}{more} are suppressed by {escape(by)}"


def _format_checked(service: ServiceStatus, now: datetime) -> Text:
    checked = format_ago(service.check.checked_at, now)
    remark = ", not in the file" if service.is_monitored is False else ", stale" if service.is_stale else ""
    return Text(f"{checked}{remark}", style="yellow" if remark else "")
