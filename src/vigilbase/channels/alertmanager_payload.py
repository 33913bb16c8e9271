"""Alerts in Alertmanager's format: labels, annotations and times. Pure.

The webhook's payload has version 4 (prometheus.io/docs/alerting/latest/configuration, "webhook_config"); the alerts for
the API are `postableAlerts` (prometheus/alertmanager, api/v2/openapi.yaml).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from vigilbase.alerts.batch import Batch
from vigilbase.alerts.outage import find_reason, find_start, find_status, measure_length, truncate
from vigilbase.domain import JSON, AlertType
from vigilbase.durations import format_duration
from vigilbase.models import AlertEvent
from vigilbase.times import format_json_time

MAX_DESCRIPTION = 1024
_NAMES: Mapping[AlertType, str] = {"service_down": "ServiceDown", "service_degraded": "ServiceDegraded"}
_SEVERITIES: Mapping[AlertType, str] = {"service_down": "critical", "service_degraded": "warning"}
_NO_END = "0001-01-01T00:00:00Z"  # Go's zero time, which Alertmanager's webhooks have for open alerts
_GROUP_BY = ("alertname", "service")


def make_labels(alert: AlertEvent) -> Mapping[str, str]:
    """The labels identify the alert in Alertmanager, so they are the same from its trigger to its resolution."""
    return {
        "alertname": _NAMES.get(alert.alert_type, "ServiceAlert"),
        "service": alert.service_name,
        "severity": _SEVERITIES.get(alert.alert_type, "info"),
        "source": "vigilbase",
    }


def make_annotations(alert: AlertEvent, now: datetime) -> Mapping[str, str]:
    """The text about an alert, and when it was acknowledged, for which Alertmanager has no state of its own."""
    summary = _summarize(alert, now)
    reason = (alert.details or {}).get("reason")
    acknowledged_at = format_json_time(alert.acknowledged_at)
    return {
        "summary": summary,
        # An alert's message is about its opening, so a resolved alert must not fall back to it.
        "description": truncate(find_reason(alert) or summary, MAX_DESCRIPTION),
        "alert_id": str(alert.id),
        **({"reason": reason} if isinstance(reason, str) else {}),
        **({"acknowledged": acknowledged_at} if acknowledged_at else {}),
    }


def make_postable_alerts(batch: Batch, expires_after: timedelta) -> Sequence[Mapping[str, JSON]]:
    """The body of `POST /api/v2/alerts`. An open alert ends `expires_after` later unless it is sent again."""
    return [
        {
            "labels": make_labels(alert),
            "annotations": make_annotations(alert, batch.at),
            "startsAt": format_json_time(_find_start(alert, batch)),
            # Without endsAt, Alertmanager would end the alert after its resolve_timeout, five minutes by default.
            "endsAt": format_json_time(_find_end(alert, batch) or batch.at + expires_after),
        }
        for alert in batch.alerts
    ]


def make_webhook_payload(batch: Batch) -> Mapping[str, JSON]:
    """The body of Alertmanager's webhooks, version 4."""
    all_labels = [make_labels(alert) for alert in batch.alerts]
    common = _find_common(all_labels)
    group = {name: common[name] for name in _GROUP_BY if name in common}
    is_firing = any(_find_end(alert, batch) is None for alert in batch.alerts)
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{_escape(value)}"' for name, value in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": "firing" if is_firing else "resolved",
        "receiver": "vigilbase",
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": _find_common([make_annotations(alert, batch.at) for alert in batch.alerts]),
        "externalURL": "",
        "alerts": [_make_webhook_alert(alert, batch) for alert in batch.alerts],
    }


def compute_fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's id of an alert with these labels (prometheus/common: 64-bit FNV-1a)."""
    digest = 0xCBF29CE484222325
    for name, value in sorted(labels.items()):
        # 0xff can't occur in UTF-8, so it separates names and values (prometheus/common, SeparatorByte).
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def _summarize(alert: AlertEvent, now: datetime) -> str:
    status = find_status(alert) or "alerting"
    if alert.resolved_at:
        return f"{alert.service_name} was {status} for {format_duration(measure_length(alert, now))}"
    return f"{alert.service_name} is {status}"


def _make_webhook_alert(alert: AlertEvent, batch: Batch) -> Mapping[str, JSON]:
    end = _find_end(alert, batch)
    labels = make_labels(alert)
    return {
        "status": "resolved" if end else "firing",
        "labels": labels,
        "annotations": make_annotations(alert, batch.at),
        "startsAt": format_json_time(_find_start(alert, batch)),
        "endsAt": format_json_time(end) or _NO_END,
        "generatorURL": "",
        "fingerprint": compute_fingerprint(labels),
    }


def _find_start(alert: AlertEvent, batch: Batch) -> datetime:
    return alert.created_at or find_start(alert, batch.at)


def _find_end(alert: AlertEvent, batch: Batch) -> datetime | None:
    """When an alert was resolved, but not before it began, because Alertmanager would reject that."""
    return alert.resolved_at and max(alert.resolved_at, _find_start(alert, batch))


def _find_common(mappings: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = mappings
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
