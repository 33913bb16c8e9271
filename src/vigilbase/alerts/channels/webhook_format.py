"""The body of a webhook, and what a template may make one of. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from vigilbase.alerts.message import Message, lines, text, title
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import JSON, AlertStatus, DeliveryKind

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def payload(message: Message) -> Mapping[str, JSON]:
    """What a message is as JSON. `alert.resolved` carries the alerts that were resolved, and not the recoveries."""
    return {
        "type": f"alert.{message.kind}",
        "timestamp": _moment(message.at),
        "data": {"alerts": [_alert(alert) for alert in message.alerts]},
    }


def for_templates(message: Message) -> Mapping[str, object]:
    """What a template of the file may use."""
    made = payload(message)
    return {
        "id": str(message.id),
        "type": made["type"],
        "kind": message.kind,
        "timestamp": made["timestamp"],
        "alerts": [_alert(alert) for alert in message.alerts],
        "title": title(message),
        "lines": lines(message),
        "text": text(message),
    }


def example(kind: DeliveryKind) -> Message:
    """A message to try a template with."""
    resolved_at = _EPOCH if kind == "resolved" else None
    status: AlertStatus = kind if kind in ("resolved", "acknowledged") else "active"
    alert = AlertEvent(
        UUID(int=0),
        "website",
        "service_down",
        status,
        "website is down",
        {},
        _EPOCH,
        None,
        resolved_at,
    )
    return Message(UUID(int=0), kind, _EPOCH, [alert])


def _alert(alert: AlertEvent) -> Mapping[str, JSON]:
    return {
        "id": str(alert.id),
        "service_name": alert.service_name,
        "alert_type": alert.alert_type,
        "status": alert.status,
        "message": alert.message,
        "details": alert.details,
        "created_at": _moment(alert.created_at),
        "acknowledged_at": _moment(alert.acknowledged_at),
        "resolved_at": _moment(alert.resolved_at),
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else None
