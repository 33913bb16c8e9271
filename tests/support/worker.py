"""A notification worker with a webhook, and what its receiver accepted."""

from typing import Any

from tests.support.receiver import Receiver
from vigilbase.channels import Channel
from vigilbase.channels.webhook import WebhookConfig
from vigilbase.notifications.worker import NotificationWorker


def make_webhook_channel(receiver: Receiver, name: str = "ops", **config: object) -> Channel:
    return Channel(name, "webhook", WebhookConfig.model_validate({"url": receiver.url, **config}))


def make_worker(channel: Channel, *, group_window_s: float = 0, **options: Any) -> NotificationWorker:
    return NotificationWorker({channel.name: channel}, group_window_s=group_window_s, remind_every_s=None, **options)


async def send_all(worker: NotificationWorker, channel: Channel) -> None:
    """Send until nothing more is due."""
    while (await worker.run_once(channel))[0]:
        pass


def list_accepted(receiver: Receiver) -> list[tuple[str, list[str]]]:
    """The type and the services of each notification that the receiver accepted."""
    return [summarize_body(request.json()) for request in receiver.accepted]


def summarize_body(body: Any) -> tuple[str, list[str]]:
    return body["type"], sorted(alert["service_name"] for alert in body["data"]["alerts"])
