"""The daily deletion of rows that are older than their retention."""

import asyncio

from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.models import AlertEventModel, HealthCheckModel, NotificationModel

log = get_logger(__name__)

FIRST_PASS_AFTER_S = 60.0  # keeps the start free for probing
EVERY_S = 86_400.0
RETRY_AFTER_S = 600.0
MIN_NOTIFICATION_DAYS = 90


async def delete_expired(days: int) -> tuple[int, int]:
    """Delete the checks and resolved alerts older than `days`; return how many of each.

    Notifications and timelines are kept for the same time, but at least ninety days.

    Raises:
        DatabaseError: the database fails; what was deleted before stays deleted.

    """
    await NotificationModel.delete_older_than(max(days, MIN_NOTIFICATION_DAYS))
    checks = await HealthCheckModel.delete_older_than(days)
    return checks, await AlertEventModel.delete_older_than(days, keep_open=True)


async def delete_expired_daily(days: int) -> None:
    """Run once a day for ever; a pass that fails is repeated after ten minutes."""
    delay_s = FIRST_PASS_AFTER_S
    while True:
        await asyncio.sleep(delay_s)
        try:
            checks, alerts = await delete_expired(days)
        except DatabaseError as error:
            log.warning("retention.failed", reason=str(error), retry_in_s=RETRY_AFTER_S)
            delay_s = RETRY_AFTER_S
        else:
            log.info("retention.done", days=days, checks_deleted=checks, alerts_deleted=alerts)
            delay_s = EVERY_S
