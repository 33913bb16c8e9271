"""The channel `webhook`: what is sent, how it is signed, and what the file may say."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.support.messages import NOON, a_message, an_alert
from tests.support.receiver import Receiver, Reply, Request, receiving
from tests.support.schemas import assert_matches
from vigilbase.alerts.channels.sending import TemporaryDeliveryError
from vigilbase.alerts.channels.webhook import WebhookConfig, send_webhook
from vigilbase.clock import utc_now
from vigilbase.vocabulary import DeliveryKind

KEY = b"a secret that is known to two"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def config(receiver: Receiver, **values: object) -> WebhookConfig:
    return WebhookConfig.model_validate({"url": f"{receiver.url}/hook", **values})


def signature(request: Request, key: bytes) -> str:
    """Computed as a receiver would, from what came over the wire."""
    head = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    digest = hmac.new(key, head.encode("ascii") + request.body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "resolved", "reminder"])
async def test_the_body_tells_what_happened_to_which_alerts(receiver: Receiver, kind: DeliveryKind) -> None:
    alerts = [replace(an_alert("shop"), acknowledged_at=NOON), replace(an_alert("zoë", resolved=True), details=None)]
    await send_webhook(config(receiver), a_message(*alerts, kind=kind))
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.json() == {
        "type": f"alert.{kind}",
        "timestamp": "2026-11-24T12:00:00Z",
        "data": {
            "alerts": [
                {
                    "id": str(alerts[0].id),
                    "service_name": "shop",
                    "alert_type": "service_down",
                    "status": "active",
                    "message": "shop is down: connection refused",
                    "details": {"last_error": "connection refused"},
                    "created_at": "2026-11-24T11:57:00Z",
                    "acknowledged_at": "2026-11-24T12:00:00Z",
                    "resolved_at": None,
                },
                {
                    "id": str(alerts[1].id),
                    "service_name": "zoë",
                    "alert_type": "service_down",
                    "status": "resolved",
                    "message": "zoë is down: connection refused",
                    "details": None,
                    "created_at": "2026-11-24T11:57:00Z",
                    "acknowledged_at": None,
                    "resolved_at": "2026-11-24T12:00:00Z",
                },
            ]
        },
    }


async def test_a_receiver_can_verify_the_signature(receiver: Receiver) -> None:
    before = int(utc_now().timestamp())
    await send_webhook(config(receiver, secret=WHSEC), a_message())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"] == signature(request, KEY)
    assert before <= int(request.headers["webhook-timestamp"]) <= int(utc_now().timestamp())


async def test_a_plain_secret_signs_with_its_bytes(receiver: Receiver) -> None:
    await send_webhook(config(receiver, secret="plain wörds"), a_message())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"] == signature(request, "plain wörds".encode())


async def test_several_secrets_sign_each(receiver: Receiver) -> None:
    await send_webhook(config(receiver, secret=[WHSEC, "old"]), a_message())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"].split() == [signature(request, KEY), signature(request, b"old")]


async def test_without_a_secret_there_is_no_signature(receiver: Receiver) -> None:
    await send_webhook(config(receiver), a_message())
    assert "webhook-signature" not in receiver.requests[0].headers


async def test_every_try_has_the_same_id_and_body(receiver: Receiver) -> None:
    message = a_message()
    receiver.reply_next(Reply(500), Reply())
    with pytest.raises(TemporaryDeliveryError):
        await send_webhook(config(receiver, secret=WHSEC), message)
    await send_webhook(config(receiver, secret=WHSEC), message)
    first, second = receiver.requests
    for name in ("webhook-id", "idempotency-key"):
        assert first.headers[name] == second.headers[name] == str(message.id)
    assert first.body == second.body


async def test_headers_of_the_file_are_sent_along(receiver: Receiver) -> None:
    headers = {"Authorization": "Bearer t0ken", "Content-Type": "application/vnd.alerts+json"}
    await send_webhook(config(receiver, headers=headers), a_message())
    sent = receiver.requests[0].headers
    assert sent["authorization"] == "Bearer t0ken"
    assert sent["content-type"] == "application/vnd.alerts+json"
    assert sent["user-agent"].startswith("vigilbase/")


async def test_user_and_password_of_the_address_become_a_header(receiver: Receiver) -> None:
    url = receiver.url.replace("://", "://user:p%40ss@")
    await send_webhook(config(receiver, url=url), a_message())
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()
    assert "user" not in request.headers["host"]


async def test_a_template_makes_the_body_and_is_what_is_signed(receiver: Receiver) -> None:
    ids = "{% for alert in alerts %}{{ alert.id | tojson }}{% endfor %}"
    template = f'{{"content": {{{{ title | tojson }}}}, "ids": [{ids}], "k": "{{{{ kind }}}}"}}'
    message = a_message(an_alert('the "shop"'))
    await send_webhook(config(receiver, template=template, secret=WHSEC), message)
    (request,) = receiver.requests
    assert request.json() == {"content": 'the "shop" is down', "ids": [str(message.alerts[0].id)], "k": "triggered"}
    assert request.headers["webhook-signature"] == signature(request, KEY)


async def test_a_template_that_fails_on_an_alert_is_tried_again(receiver: Receiver) -> None:
    template = "{% if alerts | length > 1 %}{{ alerts[1].details.owner }}{% endif %}"
    with pytest.raises(TemporaryDeliveryError, match=r"the template of the file can't be rendered: .*owner"):
        await send_webhook(config(receiver, template=template), a_message(an_alert("a"), an_alert("b")))
    assert receiver.requests == []


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "resolved", "reminder"])
async def test_the_format_of_alertmanager_is_its_own(receiver: Receiver, kind: DeliveryKind) -> None:
    message = a_message(an_alert("shop", resolved=kind == "resolved"), kind=kind)
    await send_webhook(config(receiver, format="alertmanager", secret=WHSEC), message)
    (request,) = receiver.requests
    assert_matches(request.json(), "alertmanager-webhook")
    assert request.json()["status"] == ("resolved" if kind == "resolved" else "firing")
    assert request.headers["webhook-signature"] == signature(request, KEY)


@pytest.mark.parametrize(
    ("values", "place", "rule"),
    [
        ({"url": "ftp://example.com"}, "url", "must be a URL such as https://example.com/alerts"),
        ({"url": "example.com/t0ps3cret"}, "url", "must be a URL such as https://example.com/alerts"),
        ({"secret": ""}, "secret", "must not be empty"),
        ({"secret": "whsec_t0ps3cret!"}, "secret", "must be base64 after whsec_"),
        ({"secret": []}, "secret", "must be one secret, or up to 5"),
        ({"secret": ["a", ""]}, "secret", "must not be empty"),
        ({"secret": ["a"] * 6}, "secret", "must be one secret, or up to 5"),
        ({"headers": {"Webhook-Id": "1"}}, "headers", "Webhook-Id is set by the channel itself"),
        ({"headers": {"idempotency-key": "1"}}, "headers", "idempotency-key is set by the channel itself"),
        ({"headers": {"x": "t0ps3cret\r\ny: 1"}}, "headers", "the value of x must be one line"),
        ({"template": "{{ nothing }}"}, "template", "can't be rendered: 'nothing' is undefined"),
        ({"template": "{{ title "}, "template", "is no Jinja template: line 1: "),
        ({"template": "{{ title }}", "format": "alertmanager"}, None, "take one"),
        ({"format": "xml"}, "format", "'vigilbase' or 'alertmanager'"),
        ({"timeout": "1h"}, "timeout", "must be a duration from 100ms to 25s"),
        ({"method": "PUT"}, "method", "not permitted"),
    ],
)
def test_what_the_file_may_not_say_is_told(values: dict[str, object], place: str | None, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate({"url": "https://example.com/t0ps3cret", **values})
    (error,) = caught.value.errors()
    assert (error["loc"][0] if error["loc"] else None) == place
    assert rule in error["msg"]
    assert "t0ps3cret" not in str(caught.value)


def test_a_configuration_shows_no_secret() -> None:
    values = {"url": "https://example.com/t0ps3cret", "secret": ["t0ps3cret"], "headers": {"x": "t0ps3cret"}}
    made = WebhookConfig.model_validate({**values, "template": "t0ps3cret"})
    assert "t0ps3cret" not in f"{made!r} {made}"
    assert "t0ps3cret" not in json.dumps(made.model_dump(mode="json", exclude={"template"}))
