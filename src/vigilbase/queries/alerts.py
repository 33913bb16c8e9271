"""One alert, found by the beginning of its id, with all that belongs to it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigilbase.errors import InvalidInputError, VigilbaseError
from vigilbase.models import (
    AlertEvent,
    AlertEventModel,
    Notification,
    NotificationModel,
    TimelineEntry,
    TimelineModel,
)
from vigilbase.views.terminal import escape


@dataclass(frozen=True, slots=True)
class AlertWithHistory:
    """An alert, its timeline, and its notifications that are pending, or that failed and are still needed."""

    alert: AlertEvent
    timeline: Sequence[TimelineEntry]
    unfinished: Sequence[Notification]


async def find_alert(prefix: str, hint: str) -> AlertEvent:
    """The alert whose id begins with `prefix`; `hint` says where the ids are listed.

    Raises:
        VigilbaseError: none or several begin with it, or it isn't the beginning of an id.

    """
    try:
        found = await AlertEventModel.find_by_id_prefix(prefix)
    except InvalidInputError as error:
        raise VigilbaseError(f'"{escape(prefix)}": {error}; {hint}') from None
    if len(found) > 1:
        ids = ", ".join(str(alert.id) for alert in found)
        raise VigilbaseError(f"several alerts begin with {prefix}: {ids}: give more of the id; {hint}")
    return require_alert(found[0] if found else None, prefix, hint)


def require_alert(alert: AlertEvent | None, prefix: str, hint: str) -> AlertEvent:
    if alert is None:
        raise VigilbaseError(f"there is no alert {prefix}; {hint}")
    return alert


async def load_alert_with_history(alert: AlertEvent, windows: Mapping[str, float] | None) -> AlertWithHistory:
    """`windows` has the seconds for which each channel collects a batch; None if the file can't be read."""
    timeline, notifications = await asyncio.gather(
        TimelineModel.find_by_alert(alert.id),
        NotificationModel.find(statuses=("pending", "failed"), alert_id=alert.id, windows=windows),
    )
    # A failed notification that isn't needed calls for no action: nothing would send it again.
    unfinished = [each for each in notifications if each.status == "pending" or each.is_needed]
    return AlertWithHistory(alert, timeline, unfinished)
