"""`vigilbase status`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, out, ready_database, run
from vigilbase.cli.render import STYLES, ago, iso, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import ConfigurationError
from vigilbase.models import AlertEvent, AlertEventModel, HealthCheckModel, ServiceHealthCheck
from vigilbase.settings import load_settings
from vigilbase.spec import load_spec


@dataclass(frozen=True, slots=True)
class _Service:
    """A service's latest check, its open alert, and whether it should have been checked since (None: who knows)."""

    check: ServiceHealthCheck
    alert: AlertEvent | None
    stale: bool | None


def status(*, as_json: AsJson = False) -> None:
    """Show each service with its latest check and its open alert.

    A check is stale when the vigilbase.yaml of the current folder says that there should be a newer one.

    Example: vigilbase status --json
    """
    checks, alerts = run(_load())
    now, max_gaps = utc_now(), _max_gaps()
    services = [
        _Service(check, alerts.get(check.service_name), _is_stale(check, max_gaps.get(check.service_name), now))
        for check in checks
    ]
    if as_json:
        print_json({"services": [_as_json(service) for service in services]})
    elif services:
        out.print(_table(services, now))
    else:
        out.print("Nothing has been recorded yet: `vigilbase up` watches and records.")


async def _load() -> tuple[list[ServiceHealthCheck], Mapping[str, AlertEvent]]:
    async with ready_database(load_settings(), migrate=False):
        checks = await HealthCheckModel.find_latest()
        # They come newest first, and the sort is stable; the last of a service's stays: one that says that it is down
        # before all others, and of these the oldest, which says since when.
        alerts = sorted(await AlertEventModel.find_open(), key=lambda alert: alert.alert_type == "service_down")
        return checks, {alert.service_name: alert for alert in alerts}


def _max_gaps() -> Mapping[str, timedelta]:
    """How far apart the checks of a service may be, by the current folder's file; nothing if there is none."""
    try:
        return {spec.name: spec.policy.max_gap for spec in load_spec(DEFAULT_CONFIG).services}
    except ConfigurationError:
        return {}


def _is_stale(check: ServiceHealthCheck, max_gap: timedelta | None, now: datetime) -> bool | None:
    if max_gap is None or check.checked_at is None:
        return None
    return now - check.checked_at > max_gap


def _as_json(service: _Service) -> dict[str, object]:
    check, alert = service.check, service.alert
    return {
        "service_name": check.service_name,
        "status": check.status,
        "latency_ms": check.latency_ms,
        "checked_at": iso(check.checked_at),
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
        table.add_row(
            plain(check.service_name),
            STYLES[check.status],
            "" if check.latency_ms is None else f"{check.latency_ms} ms",
            Text(f"{checked}, stale", style="yellow") if service.stale else checked,
            f"{alert.alert_type}, {alert.status}, {ago(alert.created_at, now)}" if alert else "",
            plain(check.error_message),
        )
    return table


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(status)
