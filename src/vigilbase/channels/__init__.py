"""The kinds of channels: one module for each kind, and one entry in `CHANNELS`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from vigilbase.alerts.batch import Batch
from vigilbase.channels.alertmanager import AlertmanagerConfig, describe_alertmanager, send_alertmanager
from vigilbase.channels.apprise import AppriseConfig, describe_apprise, send_apprise
from vigilbase.channels.email import EmailConfig, describe_email, send_email
from vigilbase.channels.pagerduty import PagerDutyConfig, describe_pagerduty, send_pagerduty
from vigilbase.channels.slack import SlackConfig, describe_slack, send_slack
from vigilbase.channels.webhook import WebhookConfig, describe_webhook, send_webhook

Config = TypeVar("Config", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ChannelKind(Generic[Config]):
    """How a kind of channel is configured and how it sends.

    `send` returns the receiver's answer in a few words; it raises TemporaryDeliveryError or PermanentDeliveryError.
    `can_batch` is true if a batch may have several alerts. `describe` returns the destination without its secrets,
    such as the host.
    """

    config: type[Config]
    send: Callable[[Config, Batch], Awaitable[str]]
    can_batch: bool
    describe: Callable[[Config], str]


CHANNELS: Mapping[str, ChannelKind[Any]] = {
    "webhook": ChannelKind(WebhookConfig, send_webhook, can_batch=True, describe=describe_webhook),
    # An event of PagerDuty has one deduplication key, so it can be about one alert only.
    "pagerduty": ChannelKind(PagerDutyConfig, send_pagerduty, can_batch=False, describe=describe_pagerduty),
    "alertmanager": ChannelKind(AlertmanagerConfig, send_alertmanager, can_batch=True, describe=describe_alertmanager),
    "slack": ChannelKind(SlackConfig, send_slack, can_batch=True, describe=describe_slack),
    "email": ChannelKind(EmailConfig, send_email, can_batch=True, describe=describe_email),
    "apprise": ChannelKind(AppriseConfig, send_apprise, can_batch=True, describe=describe_apprise),
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of the file; `kind` is a key of `CHANNELS`."""

    name: str
    kind: str
    config: BaseModel


async def send_batch(channel: Channel, batch: Batch) -> str:
    """Send a batch through a channel, and return the receiver's answer in a few words.

    Raises:
        TemporaryDeliveryError: a later attempt may succeed.
        PermanentDeliveryError: no attempt will succeed.

    """
    return await CHANNELS[channel.kind].send(channel.config, batch)
