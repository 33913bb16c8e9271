"""The channel `pagerduty`: events of its Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview)."""

import json
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vigilbase.alerts.channels.http import Answer, failure, post, receiver, taken
from vigilbase.alerts.channels.http_channel import HttpChannel, WebAddress
from vigilbase.alerts.channels.sending import PermanentDeliveryError
from vigilbase.alerts.message import Message, reason, shortened, since, title
from vigilbase.models import AlertEvent
from vigilbase.vocabulary import JSON, DeliveryKind

MAX_SUMMARY = 1024
MAX_BYTES = 512_000
KEY_LENGTH = 32
_ACTIONS: Mapping[DeliveryKind, str] = {
    "triggered": "trigger",
    "reminder": "trigger",
    "acknowledged": "acknowledge",
    "resolved": "resolve",
}

Severity = Literal["critical", "error", "warning", "info"]


def _routing_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if len(key) != KEY_LENGTH or not (key.isascii() and key.isalnum()):
        raise ValueError(f"must be an integration key of {KEY_LENGTH} letters and digits")
    return value


class Severities(BaseModel):
    """How severe PagerDuty takes an alert to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    down: Severity = Field("critical", description="Of a service that is down.")
    degraded: Severity = Field("warning", description="Of one that is degraded.")


class PagerDutyConfig(HttpChannel):
    """What a channel of the kind pagerduty says: the key of the integration that takes the events."""

    routing_key: Annotated[SecretStr, AfterValidator(_routing_key)] = Field(
        description="The integration key of a service's Events API v2 integration."
    )
    url: WebAddress = Field(
        SecretStr("https://events.pagerduty.com/v2/enqueue"),
        description="Where events go; that of the EU is https://events.eu.pagerduty.com/v2/enqueue.",
        json_schema_extra={"default": "https://events.pagerduty.com/v2/enqueue"},
    )
    severity: Severities = Severities()


def pagerduty_receiver(config: PagerDutyConfig) -> str:
    """The host."""
    return receiver(config.url.get_secret_value())


async def send_pagerduty(config: PagerDutyConfig, message: Message) -> str:
    """Send an event, and return what was answered. The message is about one alert, whose id is the deduplication key.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: it was not taken.

    """
    key = config.routing_key.get_secret_value()
    body = _within_limits({"routing_key": key, **event(message, config.severity)})
    answer = await post(config, config.url.get_secret_value(), body, {"idempotency-key": str(message.id)}, (key,))
    if answer.status == HTTPStatus.BAD_REQUEST:
        raise _refusal(answer)
    return taken(answer)


def event(message: Message, severity: Severities) -> Mapping[str, JSON]:
    """What a message is to PagerDuty, but for the routing key. A reminder is the same trigger again."""
    (alert,) = message.alerts
    made: Mapping[str, JSON] = {"event_action": _ACTIONS[message.kind], "dedup_key": str(alert.id)}
    if made["event_action"] != "trigger":
        return made
    why = f": {reason(alert)}" if reason(alert) else ""
    return {
        **made,
        "client": "Vigilbase",
        "payload": {
            "summary": shortened(f"{title(message)}{why}", MAX_SUMMARY),
            "source": alert.service_name,
            "severity": _severity(alert, severity),
            "timestamp": since(alert, message.at).astimezone(UTC).isoformat(timespec="milliseconds"),
            "component": alert.service_name,
            "class": alert.alert_type,
            "custom_details": {"message": alert.message, **(alert.details or {})},
        },
    }


def _severity(alert: AlertEvent, severity: Severities) -> Severity:
    match alert.alert_type:
        case "service_down":
            return severity.down
        case "service_degraded":
            return severity.degraded
        case _:
            return "info"


def _within_limits(made: Mapping[str, JSON]) -> bytes:
    """The event as JSON, without its details if it would be too long with them."""
    body = _json(made)
    said = made.get("payload")
    if len(body) <= MAX_BYTES or not isinstance(said, Mapping):
        return body
    return _json(
        {**made, "payload": {**said, "custom_details": {"left_out": "the details are too long for PagerDuty"}}}
    )


def _json(made: Mapping[str, JSON]) -> bytes:
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()


def _refusal(answer: Answer) -> Exception:
    """A key that isn't PagerDuty's stops every message, whatever else it refuses only this one."""
    if any(words in answer.said.lower() for words in ("routing_key", "routing key", "integration key")):
        return PermanentDeliveryError(f"{answer.host} answered {answer.in_words}")
    return failure(answer)
