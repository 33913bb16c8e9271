"""The channel `webhook`: a POST with JSON, signed according to Standard Webhooks."""

import json
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from vigilbase.alerts.batch import Batch
from vigilbase.channels.alertmanager_payload import make_webhook_payload
from vigilbase.channels.errors import TemporaryDeliveryError
from vigilbase.channels.http_options import Headers, HttpOptions, WebUrl, list_header_secrets, reveal_headers
from vigilbase.channels.kind import make_kind
from vigilbase.channels.standard_webhooks import make_signed_headers, parse_secret
from vigilbase.channels.webhook_payload import make_example_batch, make_payload, make_template_values
from vigilbase.clock import utc_now
from vigilbase.domain import NOTIFICATION_KINDS
from vigilbase.net.http_validation import extract_host

MAX_SECRETS = 5


def _as_list(value: object) -> object:
    return [value] if isinstance(value, (str, SecretStr)) else value


def _require_usable(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not 1 <= len(values) <= MAX_SECRETS:
        raise ValueError(f"must be one secret or a list of up to {MAX_SECRETS}")
    for value in values:
        parse_secret(value.get_secret_value())
    return values


def _require_renderable(template: str) -> str:
    """The template, if it can render an example of each kind."""
    from vigilbase.channels.template import TemplateFailure, render_template

    for kind in NOTIFICATION_KINDS:
        try:
            render_template(template, make_template_values(make_example_batch(kind)))
        except TemplateFailure as error:
            raise ValueError(str(error)) from None
    return template


Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], AfterValidator(_require_usable), BeforeValidator(_as_list)]


class WebhookConfig(HttpOptions):
    """Where to send to, how to sign, and the format of the body."""

    url: WebUrl = Field(description="The receiver's address.")
    secret: Secrets | None = Field(
        None, description="The signing secret: whsec_ and base64, or any text; a list to rotate it."
    )
    headers: Headers = Field({}, description="Additional headers.")
    format: Literal["vigilbase", "alertmanager"] = Field(
        "vigilbase", description="The format of the body: Vigilbase's own, or that of Alertmanager's webhooks."
    )
    template: Annotated[str, AfterValidator(_require_renderable)] | None = Field(
        None, repr=False, description="A Jinja template for your own body."
    )

    @model_validator(mode="after")
    def _require_one_body(self) -> "WebhookConfig":
        if self.template is not None and self.format != "vigilbase":
            raise ValueError("must not have both template and format; remove one")
        return self


def describe_webhook(config: WebhookConfig) -> str:
    """The host; the rest of the address may be a secret."""
    return extract_host(config.url.get_secret_value())


async def send_webhook(config: WebhookConfig, batch: Batch) -> str:
    """Send a batch, signed for this attempt, and return the answer.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: the receiver did not accept it, or the template failed.

    """
    from vigilbase.channels.http_client import post, require_accepted

    body = _make_body(config, batch)
    secrets = tuple(secret.get_secret_value() for secret in config.secret or ())
    # The time of this attempt, because receivers reject a signature that is older than five minutes.
    signed = make_signed_headers(str(batch.id), utc_now(), body, [parse_secret(secret) for secret in secrets])
    headers = {**reveal_headers(config.headers), **signed, "idempotency-key": str(batch.id)}
    all_secrets = (*secrets, *list_header_secrets(config.headers))
    return require_accepted(await post(config, config.url.get_secret_value(), body, headers, all_secrets))


def _make_body(config: WebhookConfig, batch: Batch) -> bytes:
    if config.template is not None:
        from vigilbase.channels.template import TemplateFailure, render_template

        try:
            return render_template(config.template, make_template_values(batch)).encode()
        except TemplateFailure as error:
            raise TemporaryDeliveryError(f"the template {error}") from None
    payload = make_webhook_payload(batch) if config.format == "alertmanager" else make_payload(batch)
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


KIND = make_kind(WebhookConfig, send_webhook, describe_webhook)
