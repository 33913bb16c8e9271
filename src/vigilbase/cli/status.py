"""`vigilbase status`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import typer

from vigilbase.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from vigilbase.cli.output import console, print_json, print_line
from vigilbase.cli.session import open_database, run_command
from vigilbase.clock import utc_now
from vigilbase.configfile import ServiceConfig, load_config
from vigilbase.errors import ConfigurationError
from vigilbase.models import (
    AlertEvent,
    AlertEventModel,
    ChannelModel,
    ChannelState,
    HealthCheckModel,
    ServiceHealthCheck,
)
from vigilbase.notifications.active_silences import ActiveSilences, load_active_silences
from vigilbase.settings import load_settings
from vigilbase.views.channel_state import describe_disabled_channel, make_disabled_channel_json
from vigilbase.views.services import ServiceStatus, describe_status, make_service_status_json, make_status_table


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the database knows: the latest checks, an open alert for each service, disabled channels, silences."""

    checks: Sequence[ServiceHealthCheck]
    alerts: Mapping[str, AlertEvent]
    disabled_channels: Sequence[ChannelState]
    silences: ActiveSilences


def status(config: ConfigFile = DEFAULT_CONFIG, *, as_json: AsJson = False) -> None:
    """Show every service with its latest check and its open alert.

    If vigilbase.yaml can be read, also shows which checks are stale and which services are no longer watched.

    Example: vigilbase status --json
    """
    loaded, configs = run_command(_load()), _load_services(config)
    now = utc_now()
    services = [_make_status(check, loaded, configs, now) for check in loaded.checks]
    if as_json:
        print_json(
            {
                "services": [make_service_status_json(service) for service in services],
                "disabled_channels": [make_disabled_channel_json(state) for state in loaded.disabled_channels],
            }
        )
        return
    if services:
        console.print(make_status_table(services, now, console.width))
        for remark in describe_status(services, config):
            print_line(remark)
    else:
        print_line("No checks are recorded yet: start `vigilbase up`.")
    for state in loaded.disabled_channels:
        print_line(describe_disabled_channel(state, now), style="red")


async def _load() -> _Loaded:
    async with open_database(load_settings(), migrate=False):
        checks, alerts, channels, silences = await asyncio.gather(
            HealthCheckModel.find_latest(), AlertEventModel.find_open(), ChannelModel.find_all(), load_active_silences()
        )
        # Of several open alerts of a service, the last one wins: a service_down before others, and of those the oldest,
        # which has the start of the outage. They come newest first, and the sort is stable.
        alerts.sort(key=lambda alert: alert.alert_type == "service_down")
        disabled = [state for state in channels if state.is_disabled]
        return _Loaded(checks, {alert.service_name: alert for alert in alerts}, disabled, silences)


def _load_services(config: Path) -> Mapping[str, ServiceConfig] | None:
    """The services of the file; None if the default file can't be read."""
    try:
        return {service.name: service for service in load_config(config).services}
    except ConfigurationError:
        if config != DEFAULT_CONFIG:
            raise
        return None


def _make_status(
    check: ServiceHealthCheck, loaded: _Loaded, configs: Mapping[str, ServiceConfig] | None, now: datetime
) -> ServiceStatus:
    config = configs.get(check.service_name) if configs is not None else None
    suppression = loaded.silences.find(check.service_name, config.tags if config else (), now)
    return ServiceStatus(
        check,
        loaded.alerts.get(check.service_name),
        is_watched=None if configs is None else config is not None,
        is_stale=now - check.checked_at > config.policy.max_gap if config and check.checked_at else None,
        suppressed_by=suppression.by if suppression else None,
    )


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(status)
