"""A service's checks and alerts in a period, and suggestions for a name that the database doesn't know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from vigilbase.errors import VigilbaseError
from vigilbase.models import AlertEvent, AlertEventModel, CheckHistory, HealthCheckModel, ServiceHealthCheck
from vigilbase.models.columns import UnreadableRowError
from vigilbase.models.rows import collect_skipped
from vigilbase.views.terminal import escape

MAX_ALERTS = 1000


@dataclass(frozen=True, slots=True)
class ServiceHistory:
    """`newest` is the service's newest check, which may be older than the period; None if none can be read."""

    history: CheckHistory
    alerts: Sequence[AlertEvent]
    newest: ServiceHealthCheck | None


async def load_service_history(service: str, since: datetime, limit: int) -> ServiceHistory:
    """The newest `limit` checks, and the alerts.

    Raises:
        VigilbaseError: no checks of the service are recorded.

    """
    history = await HealthCheckModel.find_history(service, since=since, limit=limit)
    is_known, newest = (True, history.checks[0]) if history.checks else await find_newest_check(service)
    if not is_known:
        raise VigilbaseError(f'no checks of "{escape(service)}" are recorded; {await suggest_service(service)}')
    alerts = await AlertEventModel.find_newest(limit=MAX_ALERTS, service_name=service, since=since)
    return ServiceHistory(history, alerts, newest)


async def find_newest_check(service: str) -> tuple[bool, ServiceHealthCheck | None]:
    """Whether the database knows a service, and its newest check, if one can be read."""
    with collect_skipped():  # the caller counts the rows of its own period
        try:
            newest = await HealthCheckModel.find_latest_by_service(service)
        except UnreadableRowError:
            return True, None
    return newest is not None, newest


async def suggest_service(service: str) -> str:
    """A question or hint for a service name that the database doesn't know."""
    known = [check.service_name for check in await HealthCheckModel.find_latest()]
    close = get_close_matches(service, known, n=1)
    return f'did you mean "{escape(close[0])}"?' if close else "`vigilbase status` lists the services"
