"""An alert as JSON: the same object in webhooks, in every command with --json, and in templates."""

from collections.abc import Mapping

from vigilbase.domain import JSON
from vigilbase.models import AlertEvent
from vigilbase.times import format_json_time


def make_alert_json(alert: AlertEvent) -> Mapping[str, JSON]:
    """The columns of `alert_events`; add a column here to show it everywhere."""
    return {
        "id": str(alert.id),
        "service_name": alert.service_name,
        "alert_type": alert.alert_type,
        "status": alert.status,
        "message": alert.message,
        "details": alert.details,
        "created_at": format_json_time(alert.created_at),
        "acknowledged_at": format_json_time(alert.acknowledged_at),
        "resolved_at": format_json_time(alert.resolved_at),
    }
