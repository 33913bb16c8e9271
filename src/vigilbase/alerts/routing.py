"""Which notifications an alert causes: for which channels, and when. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

RouteEvent = Literal["down", "degraded", "recovery"]
"""What a route sends notifications about."""

ROUTE_EVENTS: tuple[RouteEvent, ...] = ("down", "degraded", "recovery")


@dataclass(frozen=True, slots=True)
class Route:
    """To which channels notifications go, about which events, and after how many seconds.

    With `unless_acknowledged`, alerts that are acknowledged by then cause none.
    """

    channels: tuple[str, ...]
    on: frozenset[RouteEvent]
    after_s: float = 0
    unless_acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class PlannedNotification:
    """A notification that is due so many seconds after its alert opens, unless the alert is resolved by then.

    `send_resolved`: whether the channel also learns of a resolution when the trigger never went out. A trigger that was
    delivered is followed by its resolution in any case.
    """

    channel: str
    after_s: float
    unless_acknowledged: bool
    send_resolved: bool


def plan_notifications(routes: Iterable[Route], status: Literal["down", "degraded"]) -> list[PlannedNotification]:
    """What an alert of this status enqueues: one notification for each channel and delay, in the order of the routes.

    Where several routes agree on both, one that includes recoveries is enough to send them, and one without
    `unless_acknowledged` is enough to notify of acknowledged alerts.
    """
    planned: dict[tuple[str, float], PlannedNotification] = {}
    for route in routes:
        for channel in route.channels if status in route.on else ():
            known = planned.get((channel, route.after_s))
            planned[channel, route.after_s] = PlannedNotification(
                channel,
                route.after_s,
                unless_acknowledged=route.unless_acknowledged and (known is None or known.unless_acknowledged),
                send_resolved="recovery" in route.on or (known is not None and known.send_resolved),
            )
    return list(planned.values())
