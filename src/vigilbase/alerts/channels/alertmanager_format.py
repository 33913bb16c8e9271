"""Alerts as Alertmanager knows them: labels, annotations, times. Pure.

The webhook's payload is that of version 4 (prometheus.io/docs/alerting/latest/configuration, "webhook_config"), the
alerts of the API are `postableAlerts` (prometheus/alertmanager, api/v2/openapi.yaml).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from vigilbase.alerts.message import Message, lasted, reason, shortened, since, state
from vigilbase.alerts.wording import in_words
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import JSON, AlertType

MAX_DESCRIPTION = 1024
_NAMES: Mapping[AlertType, str] = {"service_down": "ServiceDown", "service_degraded": "ServiceDegraded"}
_SEVERITIES: Mapping[AlertType, str] = {"service_down": "critical", "service_degraded": "warning"}
_NEVER = "0001-01-01T00:00:00Z"  # what Alertmanager writes for the end of what goes on
_GROUP_BY = ("alertname", "service")


def labels(alert: AlertEvent) -> Mapping[str, str]:
    """What an alert is to Alertmanager: the same from its trigger to its resolution."""
    return {
        "alertname": _NAMES.get(alert.alert_type, "ServiceAlert"),
        "service": alert.service_name,
        "severity": _SEVERITIES.get(alert.alert_type, "info"),
        "source": "vigilbase",
    }


def annotations(alert: AlertEvent, now: datetime) -> Mapping[str, str]:
    """What there is to say about an alert; Alertmanager has no word of its own for one that is acknowledged."""
    known = state(alert)
    ended = f", for {in_words(lasted(alert, now))}" if alert.resolved_at else ""
    why = (alert.details or {}).get("reason")
    return {
        "summary": f"{alert.service_name} was {known}{ended}"
        if ended
        else f"{alert.service_name} is {known or 'alerting'}",
        "description": shortened(reason(alert) or alert.message or "", MAX_DESCRIPTION),
        "alert_id": str(alert.id),
        **({"reason": why} if isinstance(why, str) else {}),
        **({"acknowledged": _moment(alert.acknowledged_at)} if alert.acknowledged_at else {}),
    }


def postable_alerts(message: Message, expires_after: timedelta) -> Sequence[Mapping[str, JSON]]:
    """The alerts as `POST /api/v2/alerts` takes them: one that goes on ends `expires_after` unless sent again."""
    return [
        {
            "labels": labels(alert),
            "annotations": annotations(alert, message.at),
            "startsAt": _moment(_began(alert, message)),
            "endsAt": _moment(_ended(alert, message) or message.at + expires_after),
        }
        for alert in message.alerts
    ]


def webhook_payload(message: Message) -> Mapping[str, JSON]:
    """The body of Alertmanager's webhooks, version 4."""
    all_labels = [labels(alert) for alert in message.alerts]
    common = _common(all_labels)
    group = {name: common[name] for name in _GROUP_BY if name in common}
    is_firing = any(_ended(alert, message) is None for alert in message.alerts)
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{_quoted(value)}"' for name, value in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": "firing" if is_firing else "resolved",
        "receiver": "vigilbase",
        "groupLabels": group,
        "commonLabels": common,
        "commonAnnotations": _common([annotations(alert, message.at) for alert in message.alerts]),
        "externalURL": "",
        "alerts": [_webhook_alert(alert, message) for alert in message.alerts],
    }


def fingerprint(of: Mapping[str, str]) -> str:
    """What Alertmanager calls an alert with these labels (prometheus/common: FNV-1a over them, 64 bits)."""
    digest = 0xCBF29CE484222325
    for name, value in sorted(of.items()):
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def _webhook_alert(alert: AlertEvent, message: Message) -> Mapping[str, JSON]:
    ended = _ended(alert, message)
    return {
        "status": "resolved" if ended else "firing",
        "labels": labels(alert),
        "annotations": annotations(alert, message.at),
        "startsAt": _moment(_began(alert, message)),
        "endsAt": _moment(ended) if ended else _NEVER,
        "generatorURL": "",
        "fingerprint": fingerprint(labels(alert)),
    }


def _began(alert: AlertEvent, message: Message) -> datetime:
    return alert.created_at or since(alert, message.at)


def _ended(alert: AlertEvent, message: Message) -> datetime | None:
    """When an alert was resolved, and never before it began, which Alertmanager would refuse."""
    return alert.resolved_at and max(alert.resolved_at, _began(alert, message))


def _common(each: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first, *others = each
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
