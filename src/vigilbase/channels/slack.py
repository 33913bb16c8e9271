"""The channel `slack`: an incoming webhook (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks)."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from pydantic import Field

from vigilbase.alerts.batch import Batch, Severity, find_severity, render_lines, render_title
from vigilbase.alerts.outage import truncate
from vigilbase.channels.errors import PermanentDeliveryError
from vigilbase.channels.http_options import HttpOptions, WebUrl
from vigilbase.channels.kind import make_kind
from vigilbase.domain import JSON
from vigilbase.net.http_validation import extract_host

if TYPE_CHECKING:
    from vigilbase.channels.http_client import HttpAnswer

# Block Kit's limits (docs.slack.dev/reference/block-kit/blocks).
MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_SECTION = 3000
_MAX_LINE = MAX_SECTION // len("&amp;")  # so that it fits even if every character is escaped
_MAX_LINES = MAX_BLOCKS - 2  # the others are the header and the number of omitted alerts

_ICONS: Mapping[Severity, str] = {
    "failure": ":red_circle:",
    "warning": ":large_yellow_circle:",
    "success": ":large_green_circle:",
    "info": ":large_blue_circle:",
}
# Slack answers like this about the webhook itself; elsewhere, 403 and 404 may be a broken deployment's.
_GONE = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}


class SlackConfig(HttpOptions):
    """The incoming webhook to send to."""

    url: WebUrl = Field(description="An incoming webhook, https://hooks.slack.com/services/….")


def describe_slack(config: SlackConfig) -> str:
    """The host; the rest of the address is a secret."""
    return extract_host(config.url.get_secret_value())


async def send_slack(config: SlackConfig, batch: Batch) -> str:
    """Post a message, and return the answer.

    Raises:
        TemporaryDeliveryError, PermanentDeliveryError: Slack did not accept it.

    """
    from vigilbase.channels.http_client import post, require_accepted

    body = json.dumps(make_payload(batch), ensure_ascii=False, separators=(",", ":")).encode()
    answer = await post(config, config.url.get_secret_value(), body, {"idempotency-key": str(batch.id)})
    if answer.status in _GONE:
        raise _make_webhook_error(answer)
    return require_accepted(answer)


def make_payload(batch: Batch) -> Mapping[str, JSON]:
    """The title as a header, a section for each alert, and the title again as the text of Slack's notification."""
    lines = render_lines(batch)
    omitted = len(lines) - _MAX_LINES
    return {
        "text": _escape(render_title(batch)),
        "blocks": [
            _make_header(f"{_ICONS[find_severity(batch)]} {render_title(batch)}"),
            *(_make_section(line) for line in lines[:_MAX_LINES]),
            *([_make_context(f"and {omitted} more")] if omitted > 0 else []),
        ],
    }


def _make_header(text: str) -> Mapping[str, JSON]:
    return {"type": "header", "text": {"type": "plain_text", "text": truncate(text, MAX_HEADER), "emoji": True}}


def _make_section(line: str) -> Mapping[str, JSON]:
    # Without `verbatim`, Slack turns URLs and names in plain text into links and mentions.
    text: Mapping[str, JSON] = {"type": "mrkdwn", "text": _escape(truncate(line, _MAX_LINE)), "verbatim": True}
    return {"type": "section", "text": text}


def _make_context(text: str) -> Mapping[str, JSON]:
    return {"type": "context", "elements": [{"type": "plain_text", "text": text}]}


def _escape(text: str) -> str:
    """Escape text from services, so that it can't mention anyone or create links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _make_webhook_error(answer: "HttpAnswer") -> PermanentDeliveryError:
    """The error if the webhook, its channel or its workspace is gone or closed: `no_service`, `invalid_token`, …"""
    return PermanentDeliveryError(f"{answer.host} answered {answer.summary}")


KIND = make_kind(SlackConfig, send_slack, describe_slack)
