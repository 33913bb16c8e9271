"""`vigilbase status`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, ready_database, run
from vigilbase.cli.render import STYLES, ago, iso, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import ConfigurationError
from vigilbase.models import AlertEvent, AlertEventModel, HealthCheckModel, ServiceHealthCheck
from vigilbase.settings import load_settings
from vigilbase.spec import load_spec


@dataclass(frozen=True, slots=True)
class _Service:
    """A service's latest check, its open alert, and what the file says about both.

    `watched`: whether it is in the file; `stale`: whether it should have been checked since. None where nobody knows.
    """

    check: ServiceHealthCheck
    alert: AlertEvent | None
    watched: bool | None
    stale: bool | None


def status(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Show each service with its latest check and its open alert.

    If the file can be read, it tells which checks are stale, and which services aren't watched any more.

    Example: vigilbase status --json
    """
    checks, alerts = run(_load())
    now, max_gaps = utc_now(), _max_gaps(config)
    services = [_service(check, alerts.get(check.service_name), max_gaps, now) for check in checks]
    if as_json:
        print_json({"services": [_as_json(service) for service in services]})
    elif services:
        out.print(_table(services, now))
        if any(service.alert and service.watched is False for service in services):
            out.print(
                f"Nothing in {config} ends the alert of a service that it doesn't name: `vigilbase alerts resolve ID`"
            )
    else:
        out.print("Nothing has been recorded yet: `vigilbase up` watches and records.")


async def _load() -> tuple[list[ServiceHealthCheck], Mapping[str, AlertEvent]]:
    async with ready_database(load_settings(), migrate=False):
        checks = await HealthCheckModel.find_latest()
        # They come newest first, and the sort is stable; the last of a service's stays: one that says that it is down
        # before all others, and of these the oldest, which says since when.
        alerts = sorted(await AlertEventModel.find_open(), key=lambda alert: alert.alert_type == "service_down")
        return checks, {alert.service_name: alert for alert in alerts}


def _max_gaps(config: Path) -> Mapping[str, timedelta] | None:
    """How far apart the checks of each service in the file may be; None if it can't be read."""
    try:
        return {spec.name: spec.policy.max_gap for spec in load_spec(config).services}
    except ConfigurationError:
        if config != DEFAULT_CONFIG:
            raise
        return None


def _service(
    check: ServiceHealthCheck, alert: AlertEvent | None, max_gaps: Mapping[str, timedelta] | None, now: datetime
) -> _Service:
    watched = None if max_gaps is None else check.service_name in max_gaps
    if not max_gaps or not watched or check.checked_at is None:
        return _Service(check, alert, watched, None)
    return _Service(check, alert, watched, now - check.checked_at > max_gaps[check.service_name])


def _as_json(service: _Service) -> dict[str, object]:
    check, alert = service.check, service.alert
    return {
        "service_name": check.service_name,
        "status": check.status,
        "latency_ms": check.latency_ms,
        "checked_at": iso(check.checked_at),
        "watched": service.watched,
        "stale": service.stale,
        "error_message": check.error_message,
        "alert": alert
        and {
            "id": str(alert.id),
            "alert_type": alert.alert_type,
            "status": alert.status,
            "message": alert.message,
            "created_at": iso(alert.created_at),
        },
    }


def _table(services: Sequence[_Service], now: datetime) -> Table:
    table = Table("service", "status", "latency", "checked", "alert", "error", box=None, header_style="bold")
    table.columns[2].justify = "right"
    for service in services:
        check, alert = service.check, service.alert
        checked = ago(check.checked_at, now)
        remark = ", not watched" if service.watched is False else ", stale" if service.stale else ""
        table.add_row(
            plain(check.service_name),
            STYLES[check.status],
            "" if check.latency_ms is None else f"{check.latency_ms} ms",
            Text(f"{checked}{remark}", style="yellow") if remark else checked,
            f"{alert.alert_type}, {alert.status}, {ago(alert.created_at, now)}" if alert else "",
            plain(check.error_message),
        )
    return table


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(status)
