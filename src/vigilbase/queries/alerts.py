"""One alert with all that belongs to it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vigilbase.models import (
    AlertEvent,
    Notification,
    NotificationModel,
    TimelineEntry,
    TimelineModel,
)


@dataclass(frozen=True, slots=True)
class AlertWithHistory:
    """An alert, its timeline, and its notifications that are pending, or that failed and are still needed."""

    alert: AlertEvent
    timeline: Sequence[TimelineEntry]
    unfinished: Sequence[Notification]


async def load_alert_with_history(alert: AlertEvent, windows: Mapping[str, float] | None) -> AlertWithHistory:
    """`windows` has the seconds for which each channel collects a batch; None if the file can't be read."""
    timeline, notifications = await asyncio.gather(
        TimelineModel.find_by_alert(alert.id),
        NotificationModel.find(statuses=("pending", "failed"), alert_id=alert.id, windows=windows),
    )
    # A failed notification that isn't needed calls for no action: nothing would send it again.
    unfinished = [each for each in notifications if each.status == "pending" or each.is_needed]
    return AlertWithHistory(alert, timeline, unfinished)
