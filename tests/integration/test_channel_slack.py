"""The channel `slack` against a local receiver: blocks within Slack's limits."""

from collections.abc import Iterator

import pytest

from tests.support.batches import make_alert, make_batch
from tests.support.receiver import Receiver, Reply, receiving, retry_after
from tests.support.schemas import assert_matches
from vigilbase.channels.errors import PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.channels.slack import SlackConfig, send_slack
from vigilbase.domain import NotificationKind


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def make_config(receiver: Receiver) -> SlackConfig:
    return SlackConfig.model_validate({"url": f"{receiver.url}/services/T000/B000/t0ps3cret"})


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "resolved", "reminder"])
@pytest.mark.parametrize("count", [1, 48, 49, 200])
async def test_send_slack_any_kind_and_size_is_within_limits(
    receiver: Receiver, kind: NotificationKind, count: int
) -> None:
    alerts = [make_alert("&" * 100, f"{n}" + "<" * 600, is_resolved=kind == "resolved") for n in range(count)]
    assert await send_slack(make_config(receiver), make_batch(*alerts, kind=kind)) == "200 OK: ok"
    payload = receiver.requests[0].json()
    assert_matches(payload, "slack-message")
    assert [block["type"] for block in payload["blocks"]].count("section") == min(count, 48)
    last = payload["blocks"][-1]
    if count > 48:
        assert last == {"type": "context", "elements": [{"type": "plain_text", "text": f"and {count - 48} more"}]}


async def test_send_slack_payload_has_header_sections_and_text(receiver: Receiver) -> None:
    await send_slack(make_config(receiver), make_batch(make_alert("shop")))
    assert receiver.requests[0].json() == {
        "text": "shop is down",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": ":red_circle: shop is down", "emoji": True}},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "shop is down: connection refused (since 2026-11-24 11:57:00 UTC, 3m)",
                    "verbatim": True,
                },
            },
        ],
    }


async def test_send_slack_text_from_services_is_escaped(receiver: Receiver) -> None:
    await send_slack(make_config(receiver), make_batch(make_alert("<!channel>", "R&D <https://example.com|here>")))
    payload = receiver.requests[0].json()
    assert payload["text"] == "&lt;!channel&gt; is down"
    assert "R&amp;D &lt;https://example.com|here&gt;" in payload["blocks"][1]["text"]["text"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, "action_prohibited"), (403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived")],
)
async def test_send_slack_webhook_gone_is_channel_fault(receiver: Receiver, status: int, body: str) -> None:
    receiver.answer = Reply(status, body=body.encode())
    with pytest.raises(PermanentDeliveryError, match=body) as caught:
        await send_slack(make_config(receiver), make_batch())
    assert caught.value.is_channel_fault
    assert "t0ps3cret" not in str(caught.value)


async def test_send_slack_rejected_payload_is_no_channel_fault(receiver: Receiver) -> None:
    receiver.answer = Reply(400, body=b"invalid_blocks")
    with pytest.raises(PermanentDeliveryError, match="invalid_blocks") as caught:
        await send_slack(make_config(receiver), make_batch())
    assert not caught.value.is_channel_fault


async def test_send_slack_busy_receiver_is_temporary(receiver: Receiver) -> None:
    receiver.answer = retry_after("30")
    with pytest.raises(TemporaryDeliveryError) as caught:
        await send_slack(make_config(receiver), make_batch())
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 30
