"""The code of the how-to "Verify a webhook's signature", applied to requests that a channel sends."""

import base64
import json
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.batches import make_alert, make_batch
from tests.support.receiver import Request, receiving
from tests.support.supabase_api import node
from vigilbase.channels.standard_webhooks import make_signed_headers, parse_secret
from vigilbase.channels.webhook import WebhookConfig, send_webhook
from vigilbase.clock import utc_now

SECRET = "whsec_d2Ugd2lsbCB0ZWxsIG5vYm9keSBhYm91dCB0aGlz"
OTHER = "whsec_d2Ugd2lsbCB0ZWxsIGV2ZXJ5Ym9keSBhYm91dCBpdA=="
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "verify-a-webhook.md").read_text()

IsGenuine = Callable[[str, dict[str, str], bytes], bool]


def get_code(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert isinstance(code, str)
    return code


def verify_in_python(secret: str, headers: dict[str, str], body: bytes) -> bool:
    names: dict[str, IsGenuine] = {}
    exec(get_code("python"), names)
    return names["is_genuine"](secret, headers, body)


def verify_in_javascript(secret: str, headers: dict[str, str], body: bytes) -> bool:
    program = get_code("javascript") + (
        "const [secret, headers, body] = process.argv.slice(-3);"
        "console.log(isGenuine(secret, JSON.parse(headers), Buffer.from(body, 'base64')));"
    )
    process = subprocess.run(
        [node(), "--input-type=module", "-e", program, "--", secret, json.dumps(headers), base64.b64encode(body)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return process.stdout.strip() == "true"


async def send_signed(*secrets: str) -> Request:
    with receiving() as receiver:
        config = WebhookConfig.model_validate({"url": receiver.url, "secret": list(secrets)})
        await send_webhook(config, make_batch(make_alert("zoë's shop")))
        return receiver.requests[0]


@pytest.mark.parametrize("is_genuine", [verify_in_python, verify_in_javascript])
async def test_verification_accepts_genuine_request_and_rejects_changed_one(is_genuine: IsGenuine) -> None:
    sent = await send_signed(SECRET)
    headers = dict(sent.headers)
    assert is_genuine(SECRET, headers, sent.body)
    assert not is_genuine(OTHER, headers, sent.body)
    assert not is_genuine(SECRET, headers, sent.body + b" ")
    assert not is_genuine(SECRET, {**headers, "webhook-id": "another"}, sent.body)
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": "1614265330"}, sent.body)
    assert not is_genuine(SECRET, {**headers, "webhook-timestamp": "soon"}, sent.body)
    assert not is_genuine(SECRET, {k: v for k, v in headers.items() if k != "webhook-signature"}, sent.body)


@pytest.mark.parametrize("is_genuine", [verify_in_python, verify_in_javascript])
async def test_verification_during_rotation_accepts_both_secrets(is_genuine: IsGenuine) -> None:
    sent = await send_signed(OTHER, SECRET)
    assert is_genuine(SECRET, dict(sent.headers), sent.body)
    assert is_genuine(OTHER, dict(sent.headers), sent.body)


@pytest.mark.parametrize("is_genuine", [verify_in_python, verify_in_javascript])
def test_verification_rejects_request_older_than_five_minutes(is_genuine: IsGenuine) -> None:
    for age, expected in ((timedelta(minutes=1), True), (timedelta(minutes=6), False)):
        headers = make_signed_headers("id", utc_now() - age, b"{}", [parse_secret(SECRET)])
        assert is_genuine(SECRET, dict(headers), b"{}") is expected
