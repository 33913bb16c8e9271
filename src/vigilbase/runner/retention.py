"""The daily pass that deletes what is older than it has to be kept."""

import asyncio

from vigilbase.errors import DatabaseError
from vigilbase.logging import get_logger
from vigilbase.models import AlertEventModel, DeliveryModel, HealthCheckModel

log = get_logger(__name__)

FIRST_PASS_AFTER_S = 60.0  # a start has better things to do
EVERY_S = 86_400.0
RETRY_AFTER_S = 600.0


DELIVERIES_KEPT_DAYS = 90


async def delete_old(days: int) -> tuple[int, int]:
    """Delete the checks and the resolved alerts that are older than so many days; return how many of each.

    Deliveries and timelines are kept as long, and for ninety days at least.

    Raises:
        DatabaseError: the database fails; what was deleted until then stays deleted.

    """
    await DeliveryModel.delete_older_than(max(days, DELIVERIES_KEPT_DAYS))
    checks = await HealthCheckModel.delete_older_than(days)
    return checks, await AlertEventModel.delete_older_than(days, keep_open=True)


async def delete_old_daily(days: int) -> None:
    """Do so once a day, for ever; a pass that fails is tried again after ten minutes."""
    delay = FIRST_PASS_AFTER_S
    while True:
        await asyncio.sleep(delay)
        try:
            checks, alerts = await delete_old(days)
        except DatabaseError as error:
            log.warning("retention.failed", reason=str(error), retry_in_s=RETRY_AFTER_S)
            delay = RETRY_AFTER_S
        else:
            log.info("retention.done", days=days, checks_deleted=checks, alerts_deleted=alerts)
            delay = EVERY_S
