"""The channel `alertmanager`: a client of Alertmanager's API, `POST /api/v2/alerts`."""

import json
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from vigilbase.alerts.batch import Batch
from vigilbase.channels.alertmanager_payload import make_postable_alerts
from vigilbase.channels.http_options import (
    Headers,
    HttpOptions,
    WebUrl,
    list_header_secrets,
    reveal_headers,
)
from vigilbase.channels.kind import make_kind
from vigilbase.duration_schema import DURATION_SCHEMA
from vigilbase.durations import make_duration_parser
from vigilbase.net.http_validation import extract_host

PATH = "/api/v2/alerts"
WEEK_S = 7 * 86_400.0
Expiry: TypeAlias = Annotated[float, BeforeValidator(make_duration_parser("5m", "365d")), DURATION_SCHEMA]


class AlertmanagerConfig(HttpOptions):
    """Where Alertmanager is, and how long it keeps an alert open without hearing about it again."""

    url: WebUrl = Field(description="Alertmanager's address, such as http://alertmanager:9093.")
    headers: Headers = Field({}, description="Additional headers.")
    expires_after: Expiry = Field(
        WEEK_S,
        description="How long Alertmanager keeps an alert open without hearing about it again: 5m to 365d.",
        json_schema_extra={"default": "7d"},
    )


def describe_alertmanager(config: AlertmanagerConfig) -> str:
    return extract_host(config.url.get_secret_value())


async def send_alertmanager(config: AlertmanagerConfig, batch: Batch) -> str:
    """Send the alerts of a batch, and return the answer.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: Alertmanager did not accept them.

    """
    from vigilbase.channels.http_client import post, require_accepted

    alerts = make_postable_alerts(batch, timedelta(seconds=config.expires_after))
    body = json.dumps(alerts, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {**reveal_headers(config.headers), "idempotency-key": str(batch.id)}
    secrets = tuple(list_header_secrets(config.headers))
    return require_accepted(await post(config, _make_endpoint(config.url.get_secret_value()), body, headers, secrets))


def _make_endpoint(url: str) -> str:
    """The URL of the API below the path under which Alertmanager is served."""
    import httpx

    parsed = httpx.URL(url)
    return str(parsed.copy_with(path=parsed.path.rstrip("/").removesuffix(PATH) + PATH))


KIND = make_kind(
    AlertmanagerConfig, send_alertmanager, describe_alertmanager, find_expiry_s=lambda config: config.expires_after
)
