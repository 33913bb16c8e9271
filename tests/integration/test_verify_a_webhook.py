"""The how-to "Verify a webhook's signature", as it is written, on what a channel really sends."""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.messages import a_message, an_alert
from tests.support.receiver import Request, receiving
from tests.support.supabase_api import node
from vigilbase.alerts.channels.standard_webhooks import key_of, signed_headers
from vigilbase.alerts.channels.webhook import WebhookConfig, send_webhook
from vigilbase.clock import utc_now

SECRET = "whsec_d2Ugd2lsbCB0ZWxsIG5vYm9keSBhYm91dCB0aGlz"
OTHER = "whsec_d2Ugd2lsbCB0ZWxsIGV2ZXJ5Ym9keSBhYm91dCBpdA=="
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "verify-a-webhook.md").read_text()

IsGenuine = Callable[[str, dict[str, str], bytes], bool]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(found, str)
    return found


def in_python(secret: str, headers: dict[str, str], body: bytes) -> bool:
    names: dict[str, IsGenuine] = {}
    exec(block("python"), names)
    return names["is_genuine"](secret, headers, body)


def in_javascript(secret: str, headers: dict[str, str], body: bytes) -> bool:
    program = block("javascript") + (
        "const [secret, headers, body] = process.argv.slice(-3);"
        "console.log(isGenuine(secret, JSON.parse(headers), Buffer.from(body, 'base64')));"
    )
    ended = subprocess.run(
        [node(), "--input-type=module", "-e", program, "--", secret, json.dumps(headers), base64.b64encode(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.strip() == "true"


async def delivery(*secrets: str) -> Request:
    with receiving() as receiver:
        config = WebhookConfig.model_validate({"url": receiver.url, "secret": list(secrets)})
        await send_webhook(config, a_message(an_alert("zoë's shop")))
        return receiver.requests[0]


@pytest.mark.parametrize("is_genuine", [in_python, in_javascript])
async def test_a_delivery_is_genuine_and_a_changed_one_is_not(is_genuine: IsGenuine) -> None:
    sent = await delivery(SECRET)
    headers = dict(sent.headers)
    assert is_genuine(SECRET, headers, sent.body)
    assert not is_genuine(OTHER, headers, sent.body)
    assert not is_genuine(SECRET, headers, sent.body + b" ")
    assert not is_genuine(SECRET, {**headers, "webhook-id": "another"}, sent.body)
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": "1614265330"}, sent.body)
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": "soon"}, sent.body)
    assert not is_genuine(SECRET, {k: v for k, v in headers.items() if k != "webhook-signature"}, sent.body)


@pytest.mark.parametrize("is_genuine", [in_python, in_javascript])
async def test_while_one_secret_takes_the_place_of_the_other_both_do(is_genuine: IsGenuine) -> None:
    sent = await delivery(OTHER, SECRET)
    assert is_genuine(SECRET, dict(sent.headers), sent.body)
    assert is_genuine(OTHER, dict(sent.headers), sent.body)


@pytest.mark.parametrize("is_genuine", [in_python, in_javascript])
def test_an_old_delivery_is_not_genuine_even_if_its_signature_is(is_genuine: IsGenuine) -> None:
    for age, expected in ((timedelta(minutes=1), True), (timedelta(minutes=6), False)):
        headers = signed_headers("id", utc_now() - age, b"{}", [key_of(SECRET)])
        assert is_genuine(SECRET, dict(headers), b"{}") is expected
