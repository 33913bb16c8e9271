"""Times that come again: cron expressions by the clocks of a time zone. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from vigilbase.errors import InvalidInputError

FIELDS = 5
EXAMPLE = '"0 3 * * 0" (Sundays at 3:00)'
_A_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


def valid_time_zone(value: object) -> str:
    """The name of an IANA time zone that this machine knows."""
    name = value if isinstance(value, str) else ""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        if not available_timezones():
            raise InvalidInputError(
                "time_zone", "can't be looked up, since this machine has no time zones: install the package tzdata"
            ) from None
        raise InvalidInputError("time_zone", "must be the IANA name of a time zone, such as Europe/Berlin") from None
    return name


def valid_cron(value: object) -> str:
    """A cron expression of five fields that comes at some time."""
    fields = value.split() if isinstance(value, str) else []
    if len(fields) != FIELDS:
        raise InvalidInputError("cron", f"must have {FIELDS} fields, as {EXAMPLE} has")
    if next(_parsed(" ".join(fields), _A_LEAP_YEAR), None) is None:
        raise InvalidInputError("cron", "must name a time that comes")
    return " ".join(fields)


def times_after(cron: str, time_zone: str, moment: datetime) -> Iterator[datetime]:
    """The times of a cron expression that come after a moment, in order, in UTC.

    As Debian's cron treats the days when clocks change: a time that is skipped comes when the clocks have been put
    forward, and one that there is twice comes the first time; with a * for the minute or the hour, the expression goes
    by what the clock shows, whenever it shows it.

    Raises:
        InvalidInputError: there is no such expression, or no such zone here.

    """
    local = moment.astimezone(ZoneInfo(valid_time_zone(time_zone)))
    for time in _parsed(cron, local):
        # Within the second of two hours of one name, it begins with what came in the first.
        if (found := time.astimezone(UTC)) > moment:
            yield found


def _parsed(cron: str, start: datetime) -> CronSim:
    try:
        return CronSim(cron, start)
    except CronSimError as error:
        raise InvalidInputError("cron", f"must be a cron expression such as {EXAMPLE}: {error}") from None
