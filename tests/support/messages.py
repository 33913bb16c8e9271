"""Messages for channels to send."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from vigilbase.alerts.message import Message
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import AlertType, DeliveryKind

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def an_alert(
    service_name: str = "api",
    error: str = "connection refused",
    *,
    alert_type: AlertType = "service_down",
    resolved: bool = False,
    id: UUID | None = None,  # noqa: A002
) -> AlertEvent:
    return AlertEvent(
        id=id or uuid4(),
        service_name=service_name,
        alert_type=alert_type,
        status="resolved" if resolved else "active",
        message=f"{service_name} is down: {error}",
        details={"last_error": error},
        created_at=NOON - timedelta(minutes=3),
        acknowledged_at=None,
        resolved_at=NOON if resolved else None,
    )


def a_message(*alerts: AlertEvent, kind: DeliveryKind = "triggered") -> Message:
    return Message(uuid4(), kind, NOON, alerts or [an_alert()])
