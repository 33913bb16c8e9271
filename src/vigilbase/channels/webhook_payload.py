"""The body of a webhook, and the values for templates. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from vigilbase.alerts.alert_json import make_alert_json
from vigilbase.alerts.batch import Batch, render_lines, render_text, render_title
from vigilbase.domain import JSON, AlertStatus, NotificationKind
from vigilbase.models import AlertEvent
from vigilbase.times import format_json_time

_EXAMPLE_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def make_payload(batch: Batch) -> Mapping[str, JSON]:
    """The JSON body; `alert.resolved` has the resolved alerts, not the recoveries."""
    return {
        "type": f"alert.{batch.kind}",
        "timestamp": format_json_time(batch.at),
        "data": {"title": render_title(batch), "text": render_text(batch), "alerts": _make_alerts(batch)},
    }


def make_template_values(batch: Batch) -> Mapping[str, object]:
    """The names that a template can use."""
    return {
        "id": str(batch.id),
        "type": f"alert.{batch.kind}",
        "kind": batch.kind,
        "timestamp": format_json_time(batch.at),
        "title": render_title(batch),
        "text": render_text(batch),
        "lines": render_lines(batch),
        "alerts": _make_alerts(batch),
    }


def make_example_batch(kind: NotificationKind) -> Batch:
    """A batch to test a template with."""
    status: AlertStatus = kind if kind in ("resolved", "acknowledged") else "active"
    alert = AlertEvent(
        id=UUID(int=0),
        service_name="website",
        alert_type="service_down",
        status=status,
        message="website is down",
        # No details, so that a template that requires one fails when the file is read.
        details={},
        created_at=_EXAMPLE_TIME,
        acknowledged_at=None,
        resolved_at=_EXAMPLE_TIME if kind == "resolved" else None,
    )
    return Batch(UUID(int=0), kind, _EXAMPLE_TIME, [alert])


def _make_alerts(batch: Batch) -> Sequence[Mapping[str, JSON]]:
    """The alerts as JSON. Each `message` is about the batch's event; that of the table is about the opening."""
    lines = render_lines(batch)
    return [{**make_alert_json(alert), "message": line} for alert, line in zip(batch.alerts, lines, strict=True)]
