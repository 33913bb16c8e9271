"""`vigilbase status`."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from vigilbase.cli.context import DEFAULT_CONFIG, AsJson, ConfigFile, out, ready_database, run
from vigilbase.cli.owed import switched_off, tell_off_and_remedy
from vigilbase.cli.render import STYLES, ago, iso, new_table, plain, print_json
from vigilbase.clock import utc_now
from vigilbase.errors import ConfigurationError
from vigilbase.models import (
    AlertEvent,
    AlertEventModel,
    ChannelState,
    DeliveryModel,
    HealthCheckModel,
    ServiceHealthCheck,
)
from vigilbase.runner.silencing import Silencing, load_silencing
from vigilbase.settings import load_settings
from vigilbase.spec import ServiceSpec, load_spec

NAMED = 5  # services in a sentence


@dataclass(frozen=True, slots=True)
class _Service:
    """A service's latest check, its open alert, and what the file says about both.

    `watched`: whether it is in the file; `stale`: whether it should have been checked since. None where nobody knows.
    `withheld_by`: what withholds messages about it now, in words.
    """

    check: ServiceHealthCheck
    alert: AlertEvent | None
    watched: bool | None
    stale: bool | None
    withheld_by: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database knows: the latest checks, the open alert of each service, the channels that are off."""

    checks: Sequence[ServiceHealthCheck]
    alerts: Mapping[str, AlertEvent]
    channels_off: Sequence[ChannelState]
    silencing: Silencing


def status(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Show each service with its latest check and its open alert.

    If the file can be read, it tells which checks are stale, and which services aren't watched any more.

    Example: vigilbase status --json
    """
    found, specs = run(_load()), _specs(config)
    now = utc_now()
    services = [_service(check, found, specs, now) for check in found.checks]
    if as_json:
        off = [
            {"channel": state.channel, "since": iso(state.off_since), "reason": state.off_reason}
            for state in found.channels_off
        ]
        print_json({"services": [_as_json(service) for service in services], "channels_off": off})
        return
    if services:
        out.print(_table(services, now))
        for said in _remarks(services, config):
            out.print(said, markup=False)
    else:
        out.print("Nothing has been recorded yet: `vigilbase up` watches and records.")
    for state in found.channels_off:
        out.print(tell_off_and_remedy(state, now), markup=False, style="red")


async def _load() -> _Found:
    async with ready_database(load_settings(), migrate=False):
        checks, alerts, channels, silencing = await asyncio.gather(
            HealthCheckModel.find_latest(), AlertEventModel.find_open(), DeliveryModel.find_channels(), load_silencing()
        )
        # They come newest first, and the sort is stable; the last of a service's stays: one that says that it is down
        # before all others, and of these the oldest, which says since when.
        alerts.sort(key=lambda alert: alert.alert_type == "service_down")
        return _Found(checks, {alert.service_name: alert for alert in alerts}, switched_off(channels), silencing)


def _specs(config: Path) -> Mapping[str, ServiceSpec] | None:
    """The services of the file; None if it can't be read."""
    try:
        return {spec.name: spec for spec in load_spec(config).services}
    except ConfigurationError:
        if config != DEFAULT_CONFIG:
            raise
        return None


def _service(
    check: ServiceHealthCheck, found: _Found, specs: Mapping[str, ServiceSpec] | None, now: datetime
) -> _Service:
    spec = specs.get(check.service_name) if specs is not None else None
    withheld = found.silencing.withheld(check.service_name, spec.tags if spec else (), now)
    return _Service(
        check,
        found.alerts.get(check.service_name),
        None if specs is None else spec is not None,
        now - check.checked_at > spec.policy.max_gap if spec and check.checked_at else None,
        withheld.by if withheld else None,
    )


def _remarks(services: Sequence[_Service], config: Path) -> Iterator[str]:
    """What there is to say below the table."""
    if any(service.alert and service.watched is False for service in services):
        yield f"Nothing in {config} ends the alert of a service that it doesn't name: `vigilbase alerts resolve ID`"
    withheld: dict[str, list[str]] = {}
    for service in services:
        if service.withheld_by:
            withheld.setdefault(service.withheld_by, []).append(plain(service.check.service_name).plain)
    for by, names in withheld.items():
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        yield f"Messages about {', '.join(names[:NAMED])}{more} are withheld by {plain(by)}"


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
        "withheld_by": service.withheld_by,
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
    table = new_table(
        "service", "status", "latency", "checked", "alert", "error", wraps={"service", "checked", "alert", "error"}
    )
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
