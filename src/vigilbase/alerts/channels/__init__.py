"""Where messages go: one small file a kind of channel, and one line here."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from vigilbase.alerts.channels.alertmanager import AlertmanagerConfig, alertmanager_receiver, send_alertmanager
from vigilbase.alerts.channels.apprise import AppriseConfig, apprise_receiver, send_apprise
from vigilbase.alerts.channels.email import EmailConfig, email_receiver, send_email
from vigilbase.alerts.channels.pagerduty import PagerDutyConfig, pagerduty_receiver, send_pagerduty
from vigilbase.alerts.channels.slack import SlackConfig, send_slack, slack_receiver
from vigilbase.alerts.channels.webhook import WebhookConfig, send_webhook, webhook_receiver
from vigilbase.alerts.message import Message

Config = TypeVar("Config", bound=BaseModel)


def _unsaid(_: BaseModel) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Kind(Generic[Config]):
    """A kind of channel: what the file says about it, how it sends, and whether one message may list several alerts.

    `send` returns what the receiver answered, in a few words; it raises TemporaryDeliveryError or
    PermanentDeliveryError. `receiver` is where to, as far as that is no secret, such as the host.
    """

    config: type[Config]
    send: Callable[[Config, Message], Awaitable[str]]
    groups: bool
    receiver: Callable[[Config], str | None] = _unsaid


CHANNELS: Mapping[str, Kind[Any]] = {
    "webhook": Kind(WebhookConfig, send_webhook, groups=True, receiver=webhook_receiver),
    "pagerduty": Kind(PagerDutyConfig, send_pagerduty, groups=False, receiver=pagerduty_receiver),
    "alertmanager": Kind(AlertmanagerConfig, send_alertmanager, groups=True, receiver=alertmanager_receiver),
    "slack": Kind(SlackConfig, send_slack, groups=True, receiver=slack_receiver),
    "email": Kind(EmailConfig, send_email, groups=True, receiver=email_receiver),
    "apprise": Kind(AppriseConfig, send_apprise, groups=True, receiver=apprise_receiver),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the file: its name, its kind, and what the file says about it."""

    name: str
    kind: str
    config: BaseModel


async def deliver(channel: Channel, message: Message) -> str:
    """Send a message through a channel, and return what the receiver answered, in a few words.

    Raises:
        TemporaryDeliveryError: it may be taken later.
        PermanentDeliveryError: it never will be.

    """
    return await CHANNELS[channel.kind].send(channel.config, message)
