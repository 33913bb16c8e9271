"""What a kind of channel consists of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from vigilbase.alerts.batch import Batch

Config = TypeVar("Config", bound=BaseModel)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """How a kind of channel is configured and how it sends. Its functions take an instance of `config`.

    `send` returns the receiver's answer in a few words; it raises TemporaryDeliveryError or PermanentDeliveryError.
    `can_batch` is true if a batch may have several alerts. `describe` returns the destination without its secrets,
    such as the host. `find_expiry_s` returns after how many seconds without news the receiver resolves an alert itself,
    or None if it never does.
    """

    config: type[BaseModel]
    send: Callable[[BaseModel, Batch], Awaitable[str]]
    can_batch: bool
    describe: Callable[[BaseModel], str]
    find_expiry_s: Callable[[BaseModel], float | None]


def make_kind(
    config: type[Config],
    send: Callable[[Config, Batch], Awaitable[str]],
    describe: Callable[[Config], str],
    *,
    can_batch: bool = True,
    find_expiry_s: Callable[[Config], float | None] = lambda _: None,
) -> ChannelKind:
    """Make a kind from the model of its configuration and functions of that model."""

    def require(value: BaseModel) -> Config:
        if not isinstance(value, config):
            raise TypeError(f"a {type(value).__name__} is not the configuration of this kind of channel")
        return value

    return ChannelKind(
        config,
        lambda value, batch: send(require(value), batch),
        can_batch,
        lambda value: describe(require(value)),
        lambda value: find_expiry_s(require(value)),
    )
