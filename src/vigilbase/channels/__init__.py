"""The kinds of channels: one module each, which is imported when a channel of that kind is first looked up."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from vigilbase.alerts.batch import Batch
from vigilbase.channels.kind import ChannelKind
from vigilbase.extras import LazyKinds

CHANNELS: Mapping[str, ChannelKind] = LazyKinds(
    "vigilbase.channels",
    ("webhook", "pagerduty", "alertmanager", "slack", "email", "apprise"),
    extra="channels",
    noun="channels",
    needs_all=True,
)


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
