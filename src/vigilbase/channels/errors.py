"""Why an attempt to send a batch failed."""

from datetime import timedelta

from vigilbase.errors import VigilbaseError


class DeliveryError(VigilbaseError):
    """The receiver did not accept the batch. The text contains no secrets of the channel."""


class TemporaryDeliveryError(DeliveryError):
    """A later attempt may succeed: the receiver did not answer, or is busy or broken.

    `retry_after` is the pause that the receiver requested.
    """

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentDeliveryError(DeliveryError):
    """No attempt will succeed.

    With `is_channel_fault` this applies to every batch, for example because a key is wrong, so the channel is disabled.
    Without it, the receiver rejected this batch because of its content.
    """

    def __init__(self, reason: str, *, is_channel_fault: bool = True) -> None:
        super().__init__(reason)
        self.is_channel_fault = is_channel_fault
