"""Suggestions for the name of a service that the database doesn't know."""

from difflib import get_close_matches

from vigilbase.models import HealthCheckModel
from vigilbase.views.terminal import escape


async def suggest_service(service: str) -> str:
    """A question or hint for a service name that the database doesn't know."""
    known = [check.service_name for check in await HealthCheckModel.find_latest()]
    close = get_close_matches(service, known, n=1)
    return f'did you mean "{escape(close[0])}"?' if close else "`vigilbase status` lists the services"
