"""Which messages are owed when an alert opens: to which channel, and when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Occasion = Literal["down", "degraded", "recovery"]
"""What a message may be about."""

OCCASIONS: tuple[Occasion, ...] = ("down", "degraded", "recovery")


@dataclass(frozen=True, slots=True)
class Route:
    """To which channels alerts go, on which occasions, and after how many seconds.

    With `unless_acknowledged`, those that are acknowledged by then don't.
    """

    channels: tuple[str, ...]
    on: frozenset[Occasion]
    after_s: float = 0
    unless_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Owed:
    """A message that a channel is owed so many seconds after an alert opens, unless it is resolved by then.

    `tells_recovery` says whether the channel is told of a resolution whose alert it was not told of; a message that was
    delivered is followed by its resolution in any case.
    """

    channel: str
    after_s: float
    unless_acknowledged: bool
    tells_recovery: bool


def owed(routes: Iterable[Route], to: Literal["down", "degraded"]) -> list[Owed]:
    """What is owed when an alert of a kind opens: one message for each channel and delay, as they are first named.

    Where several routes come to the same, it is told of recoveries if one of them says so, and left out when the alert
    is acknowledged only if all of them do.
    """
    found: dict[tuple[str, float], Owed] = {}
    for route in routes:
        for channel in route.channels if to in route.on else ():
            known = found.get((channel, route.after_s))
            found[channel, route.after_s] = Owed(
                channel,
                route.after_s,
                unless_acknowledged=route.unless_acknowledged and (known is None or known.unless_acknowledged),
                tells_recovery="recovery" in route.on or (known is not None and known.tells_recovery),
            )
    return list(found.values())
