"""The status of every service, as the database and the file have it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from vigilbase.configfile.outline import ServiceOutline, load_optional, load_outlines
from vigilbase.models import (
    AlertEvent,
    AlertEventModel,
    ChannelModel,
    ChannelState,
    HealthCheckModel,
    ServiceHealthCheck,
)
from vigilbase.notifications.active_silences import ActiveSilences, load_active_silences
from vigilbase.views.services import ServiceStatus


@dataclass(frozen=True, slots=True)
class StatusRows:
    """The latest checks, an open alert for each service, disabled channels, and what suppresses notifications."""

    checks: Sequence[ServiceHealthCheck]
    alerts: Mapping[str, AlertEvent]
    disabled_channels: Sequence[ChannelState]
    suppressions: ActiveSilences


async def load_status_rows() -> StatusRows:
    """Raises DatabaseError."""
    checks, alerts, channels, suppressions = await asyncio.gather(
        HealthCheckModel.find_latest(), AlertEventModel.find_open(), ChannelModel.find_all(), load_active_silences()
    )
    # Of several open alerts of a service, the last one wins: a service_down before others, and of those the oldest,
    # which has the start of the outage. They come newest first, and the sort is stable.
    alerts.sort(key=lambda alert: alert.alert_type == "service_down")
    disabled = [state for state in channels if state.is_disabled]
    return StatusRows(checks, {alert.service_name: alert for alert in alerts}, disabled, suppressions)


def make_statuses(rows: StatusRows, file: Path, now: datetime) -> list[ServiceStatus]:
    """A status for each service that has checks.

    Raises:
        ConfigurationError: `file` is not the default file, and can't be read.

    """
    outlines = load_optional(load_outlines, file)
    # None without a file: what can't be read isn't the same as a service that the file doesn't name.
    services = None if outlines is None else {service.name: service for service in outlines}
    return [_make_status(check, rows, services, now) for check in rows.checks]


def _make_status(
    check: ServiceHealthCheck, rows: StatusRows, services: Mapping[str, ServiceOutline] | None, now: datetime
) -> ServiceStatus:
    service = services.get(check.service_name) if services is not None else None
    suppression = rows.suppressions.find(check.service_name, service.tags if service else (), now)
    return ServiceStatus(
        check,
        rows.alerts.get(check.service_name),
        is_monitored=None if services is None else service is not None,
        # The same limit as for a gap in a streak. A service with only checks from the future has none of today.
        is_stale=abs(now - check.checked_at) > service.max_gap if service and check.checked_at else None,
        suppressed_by=suppression.by if suppression else None,
    )
