"""How moments are written for people and for programs."""

from datetime import UTC, datetime, timedelta

from vigilbase.durations import format_duration

# For people: how far clocks usually differ. Which row is the newest follows a stricter rule (future_begins_at.sql).
_CLOCK_TOLERANCE = timedelta(minutes=1)


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
    """`2m17s ago`, or `in 3d` for a moment in the future."""
    if moment is None:
        return ""
    if is_future(moment, now):
        return f"in {format_duration(moment - now, separator='')}"
    return f"{format_duration(max(now - moment, timedelta(0)), separator='')} ago"


def is_future(moment: datetime, now: datetime) -> bool:
    """Whether a moment lies further ahead than clocks usually differ; up to a minute counts as now."""
    return moment - now > _CLOCK_TOLERANCE
