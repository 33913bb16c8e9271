"""The channel `alertmanager`: a client of its API, `POST /api/v2/alerts`."""

import json
from datetime import timedelta
from typing import Annotated, TypeAlias

import httpx
from pydantic import BeforeValidator, Field, WithJsonSchema

from vigilbase.alerts.channels.alertmanager_format import postable_alerts
from vigilbase.alerts.channels.http import post, receiver, taken
from vigilbase.alerts.channels.http_channel import Headers, HttpChannel, WebAddress, plain, secrets_of_headers
from vigilbase.alerts.message import Message
from vigilbase.durations import duration_between

PATH = "/api/v2/alerts"
WEEK_S = 7 * 86_400.0
Expiry: TypeAlias = Annotated[
    float,
    BeforeValidator(duration_between("5m", "365d")),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\s*$"}),
]


class AlertmanagerConfig(HttpChannel):
    """What a channel of the kind alertmanager says: where it is, and how long it believes what it is told."""

    url: WebAddress = Field(description="Where Alertmanager is, such as http://alertmanager:9093.")
    headers: Headers = Field({}, description="Headers to send along.")
    expires_after: Expiry = Field(
        WEEK_S,
        description="After how long Alertmanager takes an alert for resolved that it hears no more of: 5m to 365d.",
        json_schema_extra={"default": "7d"},
    )


def alertmanager_receiver(config: AlertmanagerConfig) -> str:
    """The host."""
    return receiver(config.url.get_secret_value())


async def send_alertmanager(config: AlertmanagerConfig, message: Message) -> str:
    """Send the alerts of a message, and return what was answered.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: they were not taken.

    """
    alerts = postable_alerts(message, timedelta(seconds=config.expires_after))
    body = json.dumps(alerts, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {**plain(config.headers), "idempotency-key": str(message.id)}
    hidden = tuple(secrets_of_headers(config.headers))
    return taken(await post(config, _endpoint(config.url.get_secret_value()), body, headers, hidden))


def _endpoint(url: str) -> str:
    """The address of the API, behind whatever path Alertmanager is served under."""
    address = httpx.URL(url)
    return str(address.copy_with(path=address.path.rstrip("/").removesuffix(PATH) + PATH))
