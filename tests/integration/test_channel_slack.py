"""The channel `slack`: blocks within Slack's limits, to a local receiver."""

from collections.abc import Iterator

import pytest

from tests.support.messages import a_message, an_alert
from tests.support.receiver import Receiver, Reply, receiving, retry_after
from tests.support.schemas import assert_matches
from vigilbase.alerts.channels.sending import PermanentDeliveryError, TemporaryDeliveryError
from vigilbase.alerts.channels.slack import SlackConfig, send_slack
from vigilbase.vocabulary import DeliveryKind


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def config(receiver: Receiver) -> SlackConfig:
    return SlackConfig.model_validate({"url": f"{receiver.url}/services/T000/B000/t0ps3cret"})


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "resolved", "reminder"])
@pytest.mark.parametrize("count", [1, 48, 49, 200])
async def test_every_message_is_within_slacks_limits(receiver: Receiver, kind: DeliveryKind, count: int) -> None:
    alerts = [an_alert("&" * 100, f"{n}" + "<" * 600, resolved=kind == "resolved") for n in range(count)]
    assert await send_slack(config(receiver), a_message(*alerts, kind=kind)) == "200 OK: ok"
    payload = receiver.requests[0].json()
    assert_matches(payload, "slack-message")
    assert [block["type"] for block in payload["blocks"]].count("section") == min(count, 48)
    last = payload["blocks"][-1]
    if count > 48:
        assert last == {"type": "context", "elements": [{"type": "plain_text", "text": f"and {count - 48} more"}]}


async def test_a_message_is_a_header_a_section_for_each_alert_and_a_text(receiver: Receiver) -> None:
    await send_slack(config(receiver), a_message(an_alert("shop")))
    assert receiver.requests[0].json() == {
        "text": "shop is down",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": ":red_circle: shop is down", "emoji": True}},
            {
                "type": "section",
                "text": {
                    "type": "mrkdwn",
                    "text": "shop is down: connection refused (since 2026-11-24 11:57:00 UTC, 3 min)",
                    "verbatim": True,
                },
            },
        ],
    }


async def test_what_a_service_says_mentions_nobody(receiver: Receiver) -> None:
    await send_slack(config(receiver), a_message(an_alert("<!channel>", "R&D <https://example.com|here>")))
    payload = receiver.requests[0].json()
    assert payload["text"] == "&lt;!channel&gt; is down"
    assert "R&amp;D &lt;https://example.com|here&gt;" in payload["blocks"][1]["text"]["text"]


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "action_prohibited"), (403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived")],
)
async def test_a_webhook_that_is_gone_gets_nothing_more(receiver: Receiver, status: int, said: str) -> None:
    receiver.answer = Reply(status, body=said.encode())
    with pytest.raises(PermanentDeliveryError, match=said) as caught:
        await send_slack(config(receiver), a_message())
    assert caught.value.of_the_channel
    assert "t0ps3cret" not in str(caught.value)


async def test_a_payload_that_slack_refuses_is_refused_for_this_message(receiver: Receiver) -> None:
    receiver.answer = Reply(400, body=b"invalid_blocks")
    with pytest.raises(PermanentDeliveryError, match="invalid_blocks") as caught:
        await send_slack(config(receiver), a_message())
    assert not caught.value.of_the_channel


async def test_a_busy_slack_is_tried_again(receiver: Receiver) -> None:
    receiver.answer = retry_after("30")
    with pytest.raises(TemporaryDeliveryError) as caught:
        await send_slack(config(receiver), a_message())
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 30
