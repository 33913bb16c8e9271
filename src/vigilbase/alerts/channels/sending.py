"""What a channel answers, and how it fails. Every kind of channel is a coroutine `send(config, message) -> str`."""

from datetime import timedelta

from vigilbase.errors import VigilbaseError


class DeliveryError(VigilbaseError):
    """A message was not taken. The text names no address with a secret in it."""


class TemporaryDeliveryError(DeliveryError):
    """It may be taken later: nobody answered, the receiver is busy or broken. `retry_after` is what it asked for."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentDeliveryError(DeliveryError):
    """It will never be taken as things are.

    `of_the_channel`: no message will be, for a key is wrong or an address gone, so the channel is switched off.
    Otherwise this message alone is refused, for what it holds.
    """

    def __init__(self, reason: str, *, of_the_channel: bool = True) -> None:
        super().__init__(reason)
        self.of_the_channel = of_the_channel
