"""How moments are written for people and for programs."""

from datetime import UTC, datetime, timedelta

from vigilbase.durations import format_duration


def format_json_time(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC with a `Z`, microseconds included where there are any."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def format_time(moment: datetime | None) -> str:
    """RFC 3339 in UTC to the second, for tables: `2026-11-24T09:31:23Z`."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_utc(moment: datetime) -> str:
    """A moment within a sentence: `2026-11-24 09:31:23 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_ago(moment: datetime | None, now: datetime) -> str:
    """`2m17s ago`; a moment in the future counts as now."""
    return "" if moment is None else f"{format_duration(max(now - moment, timedelta(0)), separator='')} ago"
