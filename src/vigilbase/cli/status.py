"""`vigilbase status`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import typer
from rich.table import Table

from vigilbase.cli.context import AsJson, out, ready_database, run
from vigilbase.cli.render import STYLES, ago, plain
from vigilbase.clock import utc_now
from vigilbase.models import AlertEvent, AlertEventModel, HealthCheckModel, ServiceHealthCheck
from vigilbase.settings import load_settings


def status(*, as_json: AsJson = False) -> None:
    """Show each service with its latest check and its open alert.

    Example: vigilbase status --json
    """
    checks, alerts = run(_load())
    if as_json:
        out.print_json(json.dumps({"services": [_as_json(check, alerts.get(check.service_name)) for check in checks]}))
    elif checks:
        out.print(_table(checks, alerts, utc_now()))
    else:
        out.print("Nothing has been recorded yet: `vigilbase up` watches and records.")


async def _load() -> tuple[list[ServiceHealthCheck], Mapping[str, AlertEvent]]:
    async with ready_database(load_settings(), migrate=False):
        checks = await HealthCheckModel.find_latest()
        # Newest first, so of several open alerts of a service the oldest stays: it says since when.
        return checks, {alert.service_name: alert for alert in await AlertEventModel.find_open()}


def _as_json(check: ServiceHealthCheck, alert: AlertEvent | None) -> dict[str, object]:
    return {
        "service_name": check.service_name,
        "status": check.status,
        "latency_ms": check.latency_ms,
        "checked_at": _iso(check.checked_at),
        "error_message": check.error_message,
        "alert": alert
        and {
            "id": str(alert.id),
            "alert_type": alert.alert_type,
            "status": alert.status,
            "message": alert.message,
            "created_at": _iso(alert.created_at),
        },
    }


def _table(checks: Sequence[ServiceHealthCheck], alerts: Mapping[str, AlertEvent], now: datetime) -> Table:
    table = Table("service", "status", "latency", "checked", "alert", "error", box=None, header_style="bold")
    table.columns[2].justify = "right"
    for check in checks:
        alert = alerts.get(check.service_name)
        table.add_row(
            plain(check.service_name),
            STYLES[check.status],
            "" if check.latency_ms is None else f"{check.latency_ms} ms",
            ago(check.checked_at, now),
            f"{alert.alert_type}, {alert.status}, {ago(alert.created_at, now)}" if alert else "",
            plain(check.error_message),
        )
    return table


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(status)
