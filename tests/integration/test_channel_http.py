"""What receivers answer, how they fail, and what neither may tell: over real sockets."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.certificates import Authority, new_authority
from tests.support.messages import a_message
from tests.support.receiver import Receiver, Reply, receiving, redirect_to, retry_after
from tests.support.server import free_port
from vigilbase.alerts.channels.http import MAX_SAID
from vigilbase.alerts.channels.http import retry_after as asked
from vigilbase.alerts.channels.sending import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.alerts.channels.webhook import WebhookConfig, send_webhook
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


def config(receiver: Receiver, **values: object) -> WebhookConfig:
    scheme, _, address = receiver.url.partition("://")
    return WebhookConfig.model_validate(
        {
            "url": f"{scheme}://user:passw0rd@{address}/hooks/t0ps3cret?key=k3y-of-it",
            "secret": SECRETS[-1],
            "headers": {"x-access": "acc3ss-value", "x-api-key": "h3ader-value", "x-auth": "Bearer b3arer-token"},
            **values,
        }
    )


async def fails(config: WebhookConfig) -> DeliveryError:
    """The failure of a message, which has no secret in it."""
    with pytest.raises(DeliveryError) as caught:
        await send_webhook(config, a_message())
    told = f"{caught.value} {caught.value!r} {caught.value.__cause__} {config!r} {config}"
    assert not [secret for secret in SECRETS if secret in told]
    return caught.value


async def test_success_is_told_by_status_and_body(receiver: Receiver) -> None:
    receiver.reply_next(Reply(202, body=b"thank\n you \x00"), Reply(204, body=b""))
    assert await send_webhook(config(receiver), a_message()) == "202 Accepted: thank you"
    assert await send_webhook(config(receiver), a_message()) == "204 No Content"


async def test_what_a_receiver_repeats_of_the_secrets_is_masked(receiver: Receiver) -> None:
    receiver.answer = lambda request: Reply(
        200, body=f"{request.path} {request.headers} {SECRETS[-1]}".encode() + b"x" * 10_000
    )
    said = await send_webhook(config(receiver), a_message())
    assert not [secret for secret in SECRETS if secret in said]
    assert len(said) <= MAX_SAID + len("200 OK: ")


async def test_what_is_no_secret_of_the_headers_is_left_in_an_answer(receiver: Receiver) -> None:
    receiver.answer = Reply(200, body=b"1 text/plain prod taken b3arer-token")
    headers = {"x-version": "1", "Content-Type": "text/plain", "x-auth": "Bearer b3arer-token"}
    assert await send_webhook(config(receiver, headers=headers), a_message()) == "200 OK: 1 text/plain prod taken ****"


async def test_the_libraries_log_no_secret(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await send_webhook(config(receiver), a_message())
    assert receiver.requests[0].path == "/hooks/t0ps3cret?key=k3y-of-it"
    assert not [secret for secret in SECRETS if secret in caplog.text]


@pytest.mark.parametrize(
    "status", [401, 402, 403, 404, 405, 408, 409, 423, 425, 429, 500, 501, 502, 503, 504, 529, 599]
)
async def test_what_may_go_away_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answer = Reply(status, body=b"oh dear")
    error = await fails(config(receiver))
    assert isinstance(error, TemporaryDeliveryError)
    assert f"127.0.0.1:{receiver.port} answered {status}" in str(error)
    assert str(error).endswith(": oh dear")
    assert error.retry_after is None


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_what_a_message_holds_is_refused_for_this_message(receiver: Receiver, status: int) -> None:
    receiver.answer = Reply(status)
    error = await fails(config(receiver))
    assert isinstance(error, PermanentDeliveryError)
    assert not error.of_the_channel


async def test_a_receiver_that_is_gone_gets_nothing_more(receiver: Receiver) -> None:
    receiver.answer = Reply(410, body=b"")
    error = await fails(config(receiver))
    assert isinstance(error, PermanentDeliveryError)
    assert error.of_the_channel
    assert str(error) == f"127.0.0.1:{receiver.port} answered 410 Gone: it wants no more messages"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as other:
        receiver.answer = redirect_to(f"{other.url}/t0ps3cret", status)
        error = await fails(config(receiver))
        assert other.requests == []
    assert isinstance(error, PermanentDeliveryError)
    assert error.of_the_channel
    assert f"it redirects to 127.0.0.1:{other.port}; put the address that it leads to into the file" in str(error)


@pytest.mark.parametrize("location", ["/elsewhere", "http://[", "", "not an address"])
async def test_a_redirect_may_lead_nowhere(receiver: Receiver, location: str) -> None:
    receiver.answer = redirect_to(location)
    assert "it redirects; put" in str(await fails(config(receiver)))


async def test_a_busy_receiver_says_when(receiver: Receiver) -> None:
    receiver.reply_next(retry_after("120"), retry_after("7", 503), retry_after("7", 404))
    waits = []
    for _ in range(3):
        error = await fails(config(receiver))
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
def test_retry_after_is_seconds_or_a_date(value: str, wait: timedelta | None) -> None:
    assert asked(value, NOW) == wait


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(fault="close"), "connection closed before an answer"),
        (Reply(fault="half_a_head"), "connection closed before an answer"),
        (Reply(fault="gibberish"), "the answer is not HTTP"),
    ],
)
async def test_a_connection_that_breaks_is_tried_again(receiver: Receiver, reply: Reply, reason: str) -> None:
    receiver.answer = reply
    error = await fails(config(receiver))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == f"127.0.0.1:{receiver.port}: {reason}"


async def test_a_connection_that_is_closed_at_once_is_tried_again(receiver: Receiver) -> None:
    receiver.reply_next(Reply(fault="close_unread"))
    assert isinstance(await fails(config(receiver)), TemporaryDeliveryError)


async def test_silence_ends_with_the_time_limit(receiver: Receiver) -> None:
    receiver.answer = Reply(fault="hang")
    error = await fails(config(receiver, timeout="200ms"))
    assert isinstance(error, TemporaryDeliveryError)
    expected = f"127.0.0.1:{receiver.port}: no answer within 0.2 s (connected, waiting for the first byte)"
    assert str(error) == expected


async def test_who_cancels_a_message_is_not_told_of_a_failure(receiver: Receiver) -> None:
    receiver.answer = Reply(fault="hang")
    sending = asyncio.create_task(send_webhook(config(receiver), a_message()))
    await asyncio.to_thread(receiver.wait_for, 1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


@pytest.mark.parametrize("fault", ["half_a_body", "endless_body"])
async def test_once_the_status_is_there_the_body_changes_nothing(receiver: Receiver, fault: str) -> None:
    receiver.answer = Reply(body=b"taken", fault=fault)  # type: ignore[arg-type]
    began = monotonic()
    assert (await send_webhook(config(receiver, timeout="25s"), a_message())).startswith("200 OK")
    assert monotonic() - began < 15  # the receiver would be given 25 s


async def test_nobody_at_the_address_is_a_matter_of_time() -> None:
    port = free_port()
    error = await fails(WebhookConfig.model_validate({"url": f"http://127.0.0.1:{port}/t0ps3cret"}))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == f"127.0.0.1:{port}: connection refused"


async def test_a_name_that_leads_nowhere_is_a_matter_of_time() -> None:
    error = await fails(WebhookConfig.model_validate({"url": "http://nowhere.invalid/t0ps3cret"}))
    assert isinstance(error, TemporaryDeliveryError)
    assert str(error) == "nowhere.invalid: the name nowhere.invalid can't be resolved"


async def test_certificates_are_checked(authority: Authority) -> None:
    with receiving(authority.server("127.0.0.1")) as receiver:
        error = await fails(config(receiver))
        assert isinstance(error, TemporaryDeliveryError)
        assert "certificate" in str(error)
        assert receiver.requests == []
        await send_webhook(config(receiver, ca_file=authority.ca_file), a_message())
    assert len(receiver.taken) == 1


async def test_no_proxy_of_the_environment_sees_a_message(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        await send_webhook(config(receiver), a_message())
        assert proxy.requests == []
    assert len(receiver.taken) == 1


async def test_a_receiver_that_comes_back_is_found_again(receiver: Receiver) -> None:
    receiver.stop()
    assert isinstance(await fails(config(receiver)), TemporaryDeliveryError)
    receiver.start()
    await send_webhook(config(receiver), a_message())
    assert len(receiver.taken) == 1
