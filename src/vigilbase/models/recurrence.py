"""Recurring times: cron expressions in a time zone. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from vigilbase.database.client import Value
from vigilbase.errors import InvalidInputError
from vigilbase.models.validation import validate_integer

FIELDS = 5
EXAMPLE = '"0 3 * * 0" (Sundays at 3:00)'
MIN_DURATION_S = 60
MAX_DURATION_S = 31 * 86_400
_A_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)  # so that 29 February counts as a time that comes


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a maintenance window recurs: a cron expression in an IANA time zone, each time for `duration_s` seconds.

    The duration is elapsed time: two hours are two hours in the night when the clocks change, too.
    """

    cron: str
    duration_s: int
    time_zone: str


def make_recurrence_arguments(recurrence: object) -> dict[str, Value]:
    """The arguments of `vigilbase_add_suppression` for a Recurrence or None, every part checked.

    Raises:
        InvalidInputError: a part breaks a rule.

    """
    if recurrence is None:
        return {"p_cron": None, "p_duration_s": None, "p_time_zone": None}
    if not isinstance(recurrence, Recurrence):
        raise InvalidInputError("recurrence", f"must be a Recurrence, not a {type(recurrence).__name__}")
    return {
        "p_cron": validate_cron(recurrence.cron),
        "p_duration_s": validate_integer(
            "duration_s", recurrence.duration_s, least=MIN_DURATION_S, most=MAX_DURATION_S
        ),
        "p_time_zone": validate_time_zone(recurrence.time_zone),
    }


def validate_time_zone(value: object) -> str:
    """The name of an IANA time zone that this machine knows."""
    name = value if isinstance(value, str) else ""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Slim containers have no time zones, so a correct name fails, too.
        if not available_timezones():
            raise InvalidInputError(
                "time_zone", "can't be found because this machine has no time zones: install the package tzdata"
            ) from None
        raise InvalidInputError("time_zone", "must be the IANA name of a time zone, such as Europe/Berlin") from None
    return name


def validate_cron(value: object) -> str:
    """A cron expression of five fields that matches at least one time."""
    fields = value.split() if isinstance(value, str) else []
    if len(fields) != FIELDS:
        raise InvalidInputError("cron", f"must have {FIELDS} fields, as {EXAMPLE} has")
    if next(_parse_cron(" ".join(fields), _A_LEAP_YEAR), None) is None:
        raise InvalidInputError("cron", "must match at least one time")
    return " ".join(fields)


def list_times_after(cron: str, time_zone: str, moment: datetime) -> Iterator[datetime]:
    """The times after a moment that match a cron expression, in order, in UTC.

    When clocks change, the rules are those of Debian's cron. A time that is skipped runs right after the change, and a
    time that occurs twice runs once. With a * as minute or hour, the expression follows what the clock shows.

    Raises:
        InvalidInputError: the expression is invalid, or this machine doesn't know the zone.

    """
    local = moment.astimezone(ZoneInfo(validate_time_zone(time_zone)))
    for time in _parse_cron(cron, local):
        # In an hour that occurs twice, the library starts with times of the first.
        if (found := time.astimezone(UTC)) > moment:
            yield found


def _parse_cron(cron: str, start: datetime) -> CronSim:
    try:
        return CronSim(cron, start)
    except CronSimError as error:
        raise InvalidInputError("cron", f"must be a cron expression such as {EXAMPLE}: {error}") from None
