"""Alerts and batches for channels to send."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from vigilbase.alerts.batch import Batch
from vigilbase.domain import AlertType, NotificationKind
from vigilbase.models import AlertEvent

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
_STATUSES: dict[AlertType, str] = {"service_down": "down", "service_degraded": "degraded", "recovery": "healthy"}


def make_alert(
    service_name: str = "api",
    error: str = "connection refused",
    *,
    alert_type: AlertType = "service_down",
    is_resolved: bool = False,
    id: UUID | None = None,  # noqa: A002
) -> AlertEvent:
    """An alert that was opened at 11:57, and resolved at noon with `is_resolved`."""
    return AlertEvent(
        id=id or uuid4(),
        service_name=service_name,
        alert_type=alert_type,
        status="resolved" if is_resolved else "active",
        message=f"{service_name} is {_STATUSES[alert_type]}: {error}",
        details={"last_error": error},
        created_at=NOON - timedelta(minutes=3),
        acknowledged_at=None,
        resolved_at=NOON if is_resolved else None,
    )


def make_batch(*alerts: AlertEvent, kind: NotificationKind = "triggered") -> Batch:
    """A batch from noon; without alerts, one about a default alert."""
    return Batch(uuid4(), kind, NOON, alerts or [make_alert()])
