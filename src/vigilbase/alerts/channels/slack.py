"""The channel `slack`: an incoming webhook (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from pydantic import Field

from vigilbase.alerts.channels.http import Answer, post, receiver, taken
from vigilbase.alerts.channels.http_channel import HttpChannel, WebAddress
from vigilbase.alerts.channels.sending import PermanentDeliveryError
from vigilbase.alerts.channels.tone import Tone, tone
from vigilbase.alerts.message import Message, lines, shortened, title
from vigilbase.vocabulary import JSON

# Block Kit's limits (docs.slack.dev/reference/block-kit/blocks).
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3000
_MAX_LINE = MAX_SECTION // len("&amp;")  # whatever is in it, it fits once it is escaped
_MAX_LINES = MAX_BLOCKS - 2  # a header, and how many are left out

_SIGNS: Mapping[Tone, str] = {
    "failure": ":red_circle:",
    "warning": ":large_yellow_circle:",
    "success": ":large_green_circle:",
    "info": ":large_blue_circle:",
}
_NO_WAY = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


class SlackConfig(HttpChannel):
    """What a channel of the kind slack says: the address of an incoming webhook."""

    url: WebAddress = Field(description="The incoming webhook, https://hooks.slack.com/services/….")


def slack_receiver(config: SlackConfig) -> str:
    """The host; all else of the address is a secret."""
    return receiver(config.url.get_secret_value())


async def send_slack(config: SlackConfig, message: Message) -> str:
    """Post a message, and return what was answered.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: it was not taken.

    """
    body = json.dumps(payload(message), ensure_ascii=False, separators=(",", ":")).encode()
    answer = await post(config, config.url.get_secret_value(), body, {"idempotency-key": str(message.id)})
    if answer.status in _NO_WAY:
        raise _refusal(answer)
    return taken(answer)


def payload(message: Message) -> Mapping[str, JSON]:
    """A header, a section an alert, and the title once more for notifications."""
    said = lines(message)
    left_out = len(said) - _MAX_LINES
    return {
        "text": _escaped(title(message)),
        "blocks": [
            _header(f"{_SIGNS[tone(message)]} {title(message)}"),
            *(_section(line) for line in said[:_MAX_LINES]),
            *([_context(f"and {left_out} more")] if left_out > 0 else []),
        ],
    }


def _header(text: str) -> Mapping[str, JSON]:
    return {"type": "header", "text": {"type": "plain_text", "text": shortened(text, MAX_HEADER), "emoji": True}}


def _section(line: str) -> Mapping[str, JSON]:
    text: Mapping[str, JSON] = {"type": "mrkdwn", "text": _escaped(shortened(line, _MAX_LINE)), "verbatim": True}
    return {"type": "section", "text": text}


def _context(text: str) -> Mapping[str, JSON]:
    return {"type": "context", "elements": [{"type": "plain_text", "text": text}]}


def _escaped(text: str) -> str:
    """A text that mentions nobody and links nowhere, whatever a service says of itself."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refusal(answer: Answer) -> PermanentDeliveryError:
    """The webhook, its channel or its workspace is gone or closed: channel_not_found, no_service, invalid_token, …."""
    return PermanentDeliveryError(f"{answer.host} answered {answer.in_words}")
