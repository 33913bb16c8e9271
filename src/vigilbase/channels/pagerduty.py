"""The channel `pagerduty`: PagerDuty's Events API v2 (developer.pagerduty.com/docs/events-api-v2-overview)."""

import json
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from vigilbase.alerts.batch import Batch, render_title
from vigilbase.alerts.outage import find_reason, find_start, truncate
from vigilbase.channels.errors import DeliveryError, PermanentDeliveryError
from vigilbase.channels.http_options import HttpOptions, WebUrl
from vigilbase.channels.kind import make_kind
from vigilbase.domain import JSON, NotificationKind
from vigilbase.models import AlertEvent
from vigilbase.net.http_validation import extract_host

if TYPE_CHECKING:
    from vigilbase.channels.http_client import HttpAnswer

# PagerDuty's limits for the summary (characters) and for the whole event (bytes).
MAX_SUMMARY = 1024
MAX_BYTES = 512_000
KEY_LENGTH = 32
_ACTIONS: Mapping[NotificationKind, str] = {
    "triggered": "trigger",
    "reminder": "trigger",
    "acknowledged": "acknowledge",
    "resolved": "resolve",
}

PagerDutySeverity = Literal["critical", "error", "warning", "info"]


def _require_routing_key(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if len(key) != KEY_LENGTH or not (key.isascii() and key.isalnum()):
        raise ValueError(f"must be an integration key of {KEY_LENGTH} letters and digits")
    return value


class Severities(BaseModel):
    """The severity of PagerDuty's incidents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    down: PagerDutySeverity = Field("critical", description="If a service is down.")
    degraded: PagerDutySeverity = Field("warning", description="If a service is degraded.")


class PagerDutyConfig(HttpOptions):
    """The integration that receives the events."""

    routing_key: Annotated[SecretStr, AfterValidator(_require_routing_key)] = Field(
        description="The integration key of an Events API v2 integration."
    )
    url: WebUrl = Field(
        SecretStr("https://events.pagerduty.com/v2/enqueue"),
        description="The address of the API; for the EU: https://events.eu.pagerduty.com/v2/enqueue.",
        json_schema_extra={"default": "https://events.pagerduty.com/v2/enqueue"},
    )
    severity: Severities = Severities()


def describe_pagerduty(config: PagerDutyConfig) -> str:
    return extract_host(config.url.get_secret_value())


async def send_pagerduty(config: PagerDutyConfig, batch: Batch) -> str:
    """Send an event, and return the answer. The batch has one alert, whose id is the deduplication key.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: PagerDuty did not accept it.

    """
    from vigilbase.channels.http_client import post, require_accepted

    key = config.routing_key.get_secret_value()
    body = _encode({"routing_key": key, **make_event(batch, config.severity)})
    answer = await post(config, config.url.get_secret_value(), body, {"idempotency-key": str(batch.id)}, (key,))
    if answer.status == HTTPStatus.BAD_REQUEST:
        raise _make_bad_request_error(answer)
    return require_accepted(answer)


def make_event(batch: Batch, severity: Severities) -> Mapping[str, JSON]:
    """The event without its routing key. A reminder repeats the trigger."""
    (alert,) = batch.alerts
    event: Mapping[str, JSON] = {"event_action": _ACTIONS[batch.kind], "dedup_key": str(alert.id)}
    if event["event_action"] != "trigger":
        return event
    reason = f": {find_reason(alert)}" if find_reason(alert) else ""
    return {
        **event,
        "client": "Vigilbase",
        "payload": {
            "summary": truncate(f"{render_title(batch)}{reason}", MAX_SUMMARY),
            "source": alert.service_name,
            "severity": _find_pagerduty_severity(alert, severity),
            "timestamp": find_start(alert, batch.at).astimezone(UTC).isoformat(timespec="milliseconds"),
            "component": alert.service_name,
            "class": alert.alert_type,
            "custom_details": {"message": alert.message, **(alert.details or {})},
        },
    }


def _find_pagerduty_severity(alert: AlertEvent, severity: Severities) -> PagerDutySeverity:
    match alert.alert_type:
        case "service_down":
            return severity.down
        case "service_degraded":
            return severity.degraded
        case _:
            return "info"


def _encode(event: Mapping[str, JSON]) -> bytes:
    """The event as JSON, without its details if it would be too long with them."""
    body = _dump(event)
    payload = event.get("payload")
    if len(body) <= MAX_BYTES or not isinstance(payload, Mapping):
        return body
    return _dump(
        {**event, "payload": {**payload, "custom_details": {"omitted": "the details are too long for PagerDuty"}}}
    )


def _dump(event: Mapping[str, JSON]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _make_bad_request_error(answer: "HttpAnswer") -> DeliveryError:
    """The error for a 400: an invalid key affects every event, anything else only this one."""
    from vigilbase.channels.http_client import make_delivery_error

    if any(name in answer.text.lower() for name in ("routing_key", "routing key", "integration key")):
        return PermanentDeliveryError(f"{answer.host} answered {answer.summary}")
    return make_delivery_error(answer)


# An event of PagerDuty has one deduplication key, so it can be about one alert only.
KIND = make_kind(PagerDutyConfig, send_pagerduty, describe_pagerduty, can_batch=False)
