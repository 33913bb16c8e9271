"""The channel `webhook`: the body, the signature, and the configuration."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import ValidationError

from tests.support.batches import NOON, make_alert, make_batch
from tests.support.receiver import Receiver, Reply, Request, receiving
from tests.support.schemas import assert_matches
from vigilbase.channels.errors import TemporaryDeliveryError
from vigilbase.channels.webhook import WebhookConfig, send_webhook
from vigilbase.clock import utc_now
from vigilbase.domain import NOTIFICATION_KINDS, NotificationKind

KEY = b"a shared secret of 29 letters"
WHSEC = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def make_config(receiver: Receiver, **values: object) -> WebhookConfig:
    return WebhookConfig.model_validate({"url": f"{receiver.url}/hook", **values})


def compute_signature(request: Request, key: bytes) -> str:
    """Compute the signature as a receiver does, from the request alone."""
    head = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
    digest = hmac.new(key, head.encode("ascii") + request.body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


START, END = "2026-11-24 11:57:00 UTC", "2026-11-24 12:00:00 UTC"


@pytest.mark.parametrize(
    ("kind", "title", "message"),
    [
        ("triggered", "shop is down", f"shop is down: refused (since {START}, 3m)"),
        ("acknowledged", "shop: acknowledged", f"shop is down, acknowledged: refused (since {START}, 3m)"),
        (
            "resolved",
            "shop is healthy again after 3m",
            f"shop is healthy again after 3m: refused (from {START} to {END})",
        ),
        ("reminder", "Reminder: shop is still down after 3m", f"shop is still down: refused (since {START}, 3m)"),
    ],
)
async def test_send_webhook_title_text_and_message_fit_the_event(
    receiver: Receiver, kind: NotificationKind, title: str, message: str
) -> None:
    alert = replace(
        make_alert("shop", "refused", is_resolved=kind == "resolved"),
        acknowledged_at=NOON if kind == "acknowledged" else None,
        details={"last_error": "refused", **({"recovered_to": "healthy"} if kind == "resolved" else {})},
    )
    batch = make_batch(alert, kind=kind)
    await send_webhook(make_config(receiver), batch)
    template = "{{ title }}|{{ text }}|{{ lines[0] }}|{{ alerts[0].message }}"
    await send_webhook(make_config(receiver, template=template), batch)
    data = receiver.requests[0].json()["data"]
    assert (data["title"], data["text"]) == (title, f"{title}\n\n{message}")
    assert [alert["message"] for alert in data["alerts"]] == [message]
    assert receiver.requests[1].body.decode().split("|") == [title, f"{title}\n\n{message}", message, message]


async def test_send_webhook_body_has_event_and_all_alerts(receiver: Receiver) -> None:
    alerts = [replace(make_alert("shop"), acknowledged_at=NOON), replace(make_alert("zoë"), details=None)]
    await send_webhook(make_config(receiver), make_batch(*alerts))
    (request,) = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    lines = [
        f"shop is down, acknowledged: connection refused (since {START}, 3m)",
        f"zoë is down: connection refused (since {START}, 3m)",
    ]
    assert request.json() == {
        "type": "alert.triggered",
        "timestamp": "2026-11-24T12:00:00Z",
        "data": {
            "title": "2 services are down",
            "text": "\n".join(["2 services are down", "", *lines]),
            "alerts": [
                {
                    "id": str(alerts[0].id),
                    "service_name": "shop",
                    "alert_type": "service_down",
                    "status": "active",
                    "message": lines[0],
                    "details": {"last_error": "connection refused"},
                    "created_at": "2026-11-24T11:57:00Z",
                    "acknowledged_at": "2026-11-24T12:00:00Z",
                    "resolved_at": None,
                },
                {
                    "id": str(alerts[1].id),
                    "service_name": "zoë",
                    "alert_type": "service_down",
                    "status": "active",
                    "message": lines[1],
                    "details": None,
                    "created_at": "2026-11-24T11:57:00Z",
                    "acknowledged_at": None,
                    "resolved_at": None,
                },
            ],
        },
    }


@pytest.mark.parametrize("kind", NOTIFICATION_KINDS)
async def test_send_webhook_body_has_type_and_alert_status(receiver: Receiver, kind: NotificationKind) -> None:
    alert = make_alert("shop", is_resolved=kind == "resolved")
    await send_webhook(make_config(receiver), make_batch(alert, kind=kind))
    body = receiver.requests[0].json()
    assert body["type"] == f"alert.{kind}"
    (sent,) = body["data"]["alerts"]
    assert (sent["status"], sent["resolved_at"]) == (
        ("resolved", "2026-11-24T12:00:00Z") if kind == "resolved" else ("active", None)
    )


async def test_send_webhook_signature_is_verifiable(receiver: Receiver) -> None:
    before = int(utc_now().timestamp())
    await send_webhook(make_config(receiver, secret=WHSEC), make_batch())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"] == compute_signature(request, KEY)
    assert before <= int(request.headers["webhook-timestamp"]) <= int(utc_now().timestamp())


async def test_send_webhook_plain_secret_signs_with_its_bytes(receiver: Receiver) -> None:
    await send_webhook(make_config(receiver, secret="plain wörds"), make_batch())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"] == compute_signature(request, "plain wörds".encode())


async def test_send_webhook_several_secrets_give_one_signature_each(receiver: Receiver) -> None:
    await send_webhook(make_config(receiver, secret=[WHSEC, "old"]), make_batch())
    (request,) = receiver.requests
    assert request.headers["webhook-signature"].split() == [
        compute_signature(request, KEY),
        compute_signature(request, b"old"),
    ]


async def test_send_webhook_without_secret_has_no_signature(receiver: Receiver) -> None:
    await send_webhook(make_config(receiver), make_batch())
    assert "webhook-signature" not in receiver.requests[0].headers


async def test_send_webhook_repeated_attempt_keeps_id_and_body(receiver: Receiver) -> None:
    batch = make_batch()
    receiver.reply_next(Reply(500), Reply())
    with pytest.raises(TemporaryDeliveryError):
        await send_webhook(make_config(receiver, secret=WHSEC), batch)
    await send_webhook(make_config(receiver, secret=WHSEC), batch)
    first, second = receiver.requests
    for name in ("webhook-id", "idempotency-key"):
        assert first.headers[name] == second.headers[name] == str(batch.id)
    assert first.body == second.body


async def test_send_webhook_configured_headers_are_sent(receiver: Receiver) -> None:
    headers = {"Authorization": "Bearer t0ken", "Content-Type": "application/vnd.alerts+json"}
    await send_webhook(make_config(receiver, headers=headers), make_batch())
    sent = receiver.requests[0].headers
    assert sent["authorization"] == "Bearer t0ken"
    assert sent["content-type"] == "application/vnd.alerts+json"
    assert sent["user-agent"].startswith("vigilbase/")


async def test_send_webhook_user_and_password_become_authorization_header(receiver: Receiver) -> None:
    url = receiver.url.replace("://", "://user:p%40ss@")
    await send_webhook(make_config(receiver, url=url), make_batch())
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()
    assert "user" not in request.headers["host"]


async def test_send_webhook_template_body_is_sent_and_signed(receiver: Receiver) -> None:
    ids = "{% for alert in alerts %}{{ alert.id | tojson }}{% endfor %}"
    template = f'{{"content": {{{{ title | tojson }}}}, "ids": [{ids}], "k": "{{{{ kind }}}}"}}'
    batch = make_batch(make_alert('the "shop"'))
    await send_webhook(make_config(receiver, template=template, secret=WHSEC), batch)
    (request,) = receiver.requests
    assert request.json() == {"content": 'the "shop" is down', "ids": [str(batch.alerts[0].id)], "k": "triggered"}
    assert request.headers["webhook-signature"] == compute_signature(request, KEY)


async def test_send_webhook_failing_template_is_temporary(receiver: Receiver) -> None:
    template = "{% if alerts | length > 1 %}{{ alerts[1].details.owner }}{% endif %}"
    with pytest.raises(TemporaryDeliveryError, match=r"the template can't be rendered: .*owner"):
        await send_webhook(make_config(receiver, template=template), make_batch(make_alert("a"), make_alert("b")))
    assert receiver.requests == []


@pytest.mark.parametrize("kind", NOTIFICATION_KINDS)
async def test_send_webhook_alertmanager_format_matches_schema(receiver: Receiver, kind: NotificationKind) -> None:
    batch = make_batch(make_alert("shop", is_resolved=kind == "resolved"), kind=kind)
    await send_webhook(make_config(receiver, format="alertmanager", secret=WHSEC), batch)
    (request,) = receiver.requests
    assert_matches(request.json(), "alertmanager-webhook")
    assert request.json()["status"] == ("resolved" if kind == "resolved" else "firing")
    assert request.headers["webhook-signature"] == compute_signature(request, KEY)


@pytest.mark.parametrize(
    ("values", "place", "rule"),
    [
        ({"url": "ftp://example.com"}, "url", "must be a URL such as https://example.com/alerts"),
        ({"url": "example.com/t0ps3cret"}, "url", "must be a URL such as https://example.com/alerts"),
        ({"secret": ""}, "secret", "must not be empty"),
        ({"secret": "whsec_t0ps3cret!"}, "secret", "must be base64 after whsec_"),
        ({"secret": []}, "secret", "must be one secret or a list of up to 5"),
        ({"secret": ["a", ""]}, "secret", "must not be empty"),
        ({"secret": ["a"] * 6}, "secret", "must be one secret or a list of up to 5"),
        ({"headers": {"Webhook-Id": "1"}}, "headers", "Webhook-Id is set by the channel itself"),
        ({"headers": {"idempotency-key": "1"}}, "headers", "idempotency-key is set by the channel itself"),
        ({"headers": {"x": "t0ps3cret\r\ny: 1"}}, "headers", "the value of x must be one line"),
        ({"template": "{{ unknown }}"}, "template", "can't be rendered: 'unknown' is undefined"),
        ({"template": "{{ title "}, "template", "must be a Jinja template: line 1: "),
        ({"template": "{{ title }}", "format": "alertmanager"}, None, "must not have both template and format"),
        ({"format": "xml"}, "format", "'vigilbase' or 'alertmanager'"),
        ({"timeout": "1h"}, "timeout", "must be a duration from 100ms to 25s"),
        ({"method": "PUT"}, "method", "not permitted"),
    ],
)
def test_webhook_config_invalid_field_is_rejected_without_quoting(
    values: dict[str, object], place: str | None, rule: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        WebhookConfig.model_validate({"url": "https://example.com/t0ps3cret", **values})
    (error,) = caught.value.errors()
    assert (error["loc"][0] if error["loc"] else None) == place
    assert rule in error["msg"]
    assert "t0ps3cret" not in str(caught.value)


def test_webhook_config_repr_and_dump_hide_secrets() -> None:
    values = {"url": "https://example.com/t0ps3cret", "secret": ["t0ps3cret"], "headers": {"x": "t0ps3cret"}}
    config = WebhookConfig.model_validate({**values, "template": "t0ps3cret"})
    assert "t0ps3cret" not in f"{config!r} {config}"
    assert "t0ps3cret" not in json.dumps(config.model_dump(mode="json", exclude={"template"}))
