"""The channel `webhook`: a POST with JSON, signed as Standard Webhooks says."""

import json
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from vigilbase.alerts.channels.alertmanager_format import webhook_payload
from vigilbase.alerts.channels.http import post, receiver, taken
from vigilbase.alerts.channels.http_channel import Headers, HttpChannel, WebAddress, plain, secrets_of_headers
from vigilbase.alerts.channels.sending import TemporaryDeliveryError
from vigilbase.alerts.channels.standard_webhooks import key_of, signed_headers
from vigilbase.alerts.channels.template import TemplateFailure, rendered
from vigilbase.alerts.channels.webhook_format import example, for_templates, payload
from vigilbase.alerts.message import Message
from vigilbase.clock import utc_now
from vigilbase.vocabulary import DeliveryKind

MAX_SECRETS = 5
_KINDS: tuple[DeliveryKind, ...] = ("triggered", "acknowledged", "resolved", "reminder")


def _listed(value: object) -> object:
    return [value] if isinstance(value, (str, SecretStr)) else value


def _usable(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not 1 <= len(values) <= MAX_SECRETS:
        raise ValueError(f"must be one secret, or up to {MAX_SECRETS}")
    for value in values:
        key_of(value.get_secret_value())
    return values


def _renders(template: str) -> str:
    """The template, if it makes something of a message of each kind."""
    for kind in _KINDS:
        try:
            rendered(template, for_templates(example(kind)))
        except TemplateFailure as error:
            raise ValueError(str(error)) from None
    return template


Secrets: TypeAlias = Annotated[tuple[SecretStr, ...], AfterValidator(_usable), BeforeValidator(_listed)]


class WebhookConfig(HttpChannel):
    """What a channel of the kind webhook says: where to, and how to sign."""

    url: WebAddress = Field(description="Where to send to.")
    secret: Secrets | None = Field(
        None, description="What to sign with: whsec_ and base64, or any text; several while one replaces the other."
    )
    headers: Headers = Field({}, description="Headers to send along.")
    format: Literal["vigilbase", "alertmanager"] = Field(
        "vigilbase", description="What the body looks like: ours, or what Alertmanager sends to its webhooks."
    )
    template: Annotated[str, AfterValidator(_renders)] | None = Field(
        None, repr=False, description="A Jinja template of a body of your own."
    )

    @model_validator(mode="after")
    def _one_body(self) -> "WebhookConfig":
        if self.template is not None and self.format != "vigilbase":
            raise ValueError("template and format say both what the body looks like; take one")
        return self


def webhook_receiver(config: WebhookConfig) -> str:
    """The host; all else of the address may be a secret."""
    return receiver(config.url.get_secret_value())


async def send_webhook(config: WebhookConfig, message: Message) -> str:
    """Send a message, signed for this try, and return what was answered.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: it was not taken.

    """
    body = _body(config, message)
    secrets = tuple(secret.get_secret_value() for secret in config.secret or ())
    signed = signed_headers(str(message.id), utc_now(), body, [key_of(secret) for secret in secrets])
    headers = {**plain(config.headers), **signed, "idempotency-key": str(message.id)}
    hidden = (*secrets, *secrets_of_headers(config.headers))
    return taken(await post(config, config.url.get_secret_value(), body, headers, hidden))


def _body(config: WebhookConfig, message: Message) -> bytes:
    if config.template is not None:
        try:
            return rendered(config.template, for_templates(message)).encode()
        except TemplateFailure as error:
            raise TemporaryDeliveryError(f"the template of the file {error}") from None
    made = webhook_payload(message) if config.format == "alertmanager" else payload(message)
    return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()
