"""The HTTP client of the channels over real sockets: answers, failures, and secrets that neither may reveal."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.batches import make_batch
from tests.support.certificates import Authority, new_authority
from tests.support.receiver import Receiver, Reply, receiving, redirect_to, retry_after
from tests.support.server import free_port
from vigilbase.channels.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.channels.http_client import MAX_ANSWER_LENGTH, parse_retry_after
from vigilbase.channels.webhook import WebhookConfig, send_webhook
from vigilbase.clock import monotonic

SECRETS = [
    "t0ps3cret",
    "k3y-of-it",
    "h3ader-value",
    "acc3ss-value",
    "b3arer-token",
    "passw0rd",
    "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0",
]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


def make_config(receiver: Receiver, **values: object) -> WebhookConfig:
    scheme, _, address = receiver.url.partition("://")
    return WebhookConfig.model_validate(
        {
            "url": f"{scheme}://user:passw0rd@{address}/hooks/t0ps3cret?key=k3y-of-it",
            "secret": SECRETS[-1],
            "headers": {"x-access": "acc3ss-value", "x-api-key": "h3ader-value", "x-auth": "Bearer b3arer-token"},
            **values,
        }
    )


async def get_error(config: WebhookConfig) -> DeliveryError:
    """Send a batch and return the error, which must not contain a secret."""
    with pytest.raises(DeliveryError) as caught:
        await send_webhook(config, make_batch())
    text = f"{caught.value} {caught.value!r} {caught.value.__cause__} {config!r} {config}"
    assert not [secret for secret in SECRETS if secret in text]
    return caught.value


async def test_post_success_returns_status_and_body(receiver: Receiver) -> None:
    receiver.reply_next(Reply(202, body=b"thank\n you \x00"), Reply(204, body=b""))
    assert await send_webhook(make_config(receiver), make_batch()) == "202 Accepted: thank you"
    assert await send_webhook(make_config(receiver), make_batch()) == "204 No Content"


async def test_post_answer_with_secrets_is_redacted(receiver: Receiver) -> None:
    receiver.answer = lambda request: Reply(
        200, body=f"{request.path} {request.headers} {SECRETS[-1]}".encode() + b"x" * 10_000
    )
    answer = await send_webhook(make_config(receiver), make_batch())
    assert not [secret for secret in SECRETS if secret in answer]
    assert len(answer) <= MAX_ANSWER_LENGTH + len("200 OK: ")


async def test_post_answer_with_short_or_public_header_values_is_not_redacted(receiver: Receiver) -> None:
    receiver.answer = Reply(200, body=b"1 text/plain prod accepted b3arer-token")
    headers = {"x-version": "1", "Content-Type": "text/plain", "x-auth": "Bearer b3arer-token"}
    assert (
        await send_webhook(make_config(receiver, headers=headers), make_batch())
        == "200 OK: 1 text/plain prod accepted ****"
    )


async def test_post_libraries_log_no_secret(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await send_webhook(make_config(receiver), make_batch())
    assert receiver.requests[0].path == "/hooks/t0ps3cret?key=k3y-of-it"
    assert not [secret for secret in SECRETS if secret in caplog.text]


@pytest.mark.parametrize(
    "status", [401, 402, 403, 404, 405, 408, 409, 423, 425, 429, 500, 501, 502, 503, 504, 529, 599]
)
async def test_post_error_status_is_temporary(receiver: Receiver, status: int) -> None:
    receiver.answer = Reply(status, body=b"oh dear")
    error = await get_error(make_config(receiver))
    assert isinstance(error, TemporaryDeliveryError)
    assert f"127.0.0.1:{receiver.port} answered {status}" in str(error)
    assert str(error).endswith(": oh dear")
    assert error.retry_after is None


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_post_rejected_content_is_no_channel_fault(receiver: Receiver, status: int) -> None:
    receiver.answer = Reply(status)
    error = await get_error(make_config(receiver))
    assert isinstance(error, PermanentDeliveryError)
    assert not error.is_channel_fault


async def test_post_gone_is_channel_fault(receiver: Receiver) -> None:
    receiver.answer = Reply(410, body=b"")
    error = await get_error(make_config(receiver))
    assert isinstance(error, PermanentDeliveryError)
    assert error.is_channel_fault
    assert str(error) == f"127.0.0.1:{receiver.port} answered 410 Gone: it accepts no more notifications"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_post_redirect_is_channel_fault_and_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as other:
        receiver.answer = redirect_to(f"{other.url}/t0ps3cret", status)
        error = await get_error(make_config(receiver))
        assert other.requests == []
    assert isinstance(error, PermanentDeliveryError)
    assert error.is_channel_fault
    assert f"it redirects to 127.0.0.1:{other.port}; put the new address into the file" in str(error)


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "", "not an address"])
async def test_post_redirect_without_valid_target_omits_host(receiver: Receiver, location: str) -> None:
    receiver.answer = redirect_to(location)
    assert "it redirects; put" in str(await get_error(make_config(receiver)))


async def test_post_retry_after_is_used_for_busy_status_only(receiver: Receiver) -> None:
    receiver.reply_next(retry_after("120"), retry_after("7", 503), retry_after("7", 404))
    waits = []
    for _ in range(3):
        error = await get_error(make_config(receiver))
        assert isinstance(error, TemporaryDeliveryError)
        waits.append(error.retry_after)
    assert waits == [timedelta(seconds=120), timedelta(seconds=7), None]


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta(0)),
        (" 90 ", timedelta(seconds=90)),
        ("9" * 5000, timedelta(seconds=10**9)),
        ("Tue, 24 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("Tue, 24 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Tue, 24 Nov 2026 12:05:00 -0000", timedelta(minutes=5)),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
    ],
)
def test_parse_retry_after_seconds_date_or_invalid(value: str, wait: timedelta | None) -> None:
    assert parse_retry_after(value, NOW) == wait


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(fault="close"), "connection closed before an answer"),
        (Reply(fault="half_a_head"), "connection closed before an answer"),
        (Reply(fault="gibberish"), "the answer is not HTTP"),
    ],
)
async def test_post_broken_connection_is_temporary(receiver: Receiver, reply: Reply, reason: str) -> None:
    receiver.answer = reply
    error = await get_error(make_config(receiver))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == f"127.0.0.1:{receiver.port}: {reason}"


async def test_post_connection_closed_at_once_is_temporary(receiver: Receiver) -> None:
    receiver.reply_next(Reply(fault="close_unread"))
    assert isinstance(await get_error(make_config(receiver)), TemporaryDeliveryError)


async def test_post_no_answer_ends_at_time_limit(receiver: Receiver) -> None:
    receiver.answer = Reply(fault="hang")
    error = await get_error(make_config(receiver, timeout="200ms"))
    assert isinstance(error, TemporaryDeliveryError)
    expected = f"127.0.0.1:{receiver.port}: no answer within 0.2 s (connected, waiting for the first byte)"
    assert str(error) == expected


async def test_post_cancellation_is_not_a_delivery_error(receiver: Receiver) -> None:
    receiver.answer = Reply(fault="hang")
    sending = asyncio.create_task(send_webhook(make_config(receiver), make_batch()))
    await asyncio.to_thread(receiver.wait_for, 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize("fault", ["half_a_body", "endless_body"])
async def test_post_body_cut_short_or_endless_is_success(receiver: Receiver, fault: str) -> None:
    receiver.answer = Reply(body=b"accepted", fault=fault)  # type: ignore[arg-type]
    began = monotonic()
    assert (await send_webhook(make_config(receiver, timeout="25s"), make_batch())).startswith("200 OK")
    assert monotonic() - began < 8  # a second for the body, not the time limit of 25 s


async def test_post_connection_refused_is_temporary() -> None:
    port = free_port()
    error = await get_error(WebhookConfig.model_validate({"url": f"http://127.0.0.1:{port}/t0ps3cret"}))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == f"127.0.0.1:{port}: connection refused"


async def test_post_unknown_host_is_temporary() -> None:
    error = await get_error(WebhookConfig.model_validate({"url": "http://nowhere.invalid/t0ps3cret"}))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == "nowhere.invalid: the name nowhere.invalid can't be resolved"


async def test_post_certificate_is_verified(authority: Authority) -> None:
    with receiving(authority.server("127.0.0.1")) as receiver:
        error = await get_error(make_config(receiver))
        assert isinstance(error, TemporaryDeliveryError)
        assert "certificate" in str(error)
        assert receiver.requests == []
        await send_webhook(make_config(receiver, ca_file=authority.ca_file), make_batch())
    assert len(receiver.accepted) == 1


async def test_post_ignores_proxy_variables(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await send_webhook(make_config(receiver), make_batch())
        assert proxy.requests == []
    assert len(receiver.accepted) == 1


async def test_post_receiver_back_up_is_reached(receiver: Receiver) -> None:
    receiver.stop()
    assert isinstance(await get_error(make_config(receiver)), TemporaryDeliveryError)
    receiver.start()
    await send_webhook(make_config(receiver), make_batch())
    assert len(receiver.accepted) == 1
