"""Which messages are withheld, and until when: the one place for the rules of silences and maintenance. Pure.

Both are half-open: they hold at their start and no longer at their end. Names fit a pattern in which `*` stands for any
characters, `?` for one and `[abc]` for one of these, capitals being no small letters; a tag is meant as it is written.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from vigilbase.models import MaintenanceWindow, Recurrence, Silence
from vigilbase.models.recurrence import times_after

SHORT_ID = 8
LOOK_AGAIN = timedelta(hours=1)
"""What holds longer than that is looked at again then: it may be ended early, and far ahead costs time to find out."""
MOST_IN_A_ROW = 1000
"""So many windows that follow one another are gone through; more, of a minute each for days, would cost seconds."""

Withholding: TypeAlias = Silence | MaintenanceWindow


class Withheld(NamedTuple):
    """Until when a message is withheld, `LOOK_AGAIN` ahead at most, and by what, in words."""

    until: datetime
    by: str


def withheld(
    service_name: str,
    tags: Sequence[str],
    now: datetime,
    silences: Sequence[Silence],
    windows: Sequence[MaintenanceWindow],
) -> Withheld | None:
    """Whether messages about a service are withheld now; of several that do so, by that which ends last."""
    until = withheld_until(service_name, tags, now, silences, windows)
    if until is None:
        return None
    every: Sequence[Withholding] = [*silences, *windows]
    latest = _later(now, LOOK_AGAIN)
    ends = [
        (end, each) for each in every if concerns(each, service_name, tags) and (end := holds_until(each, now, latest))
    ]
    _, by = max(ends, key=lambda pair: pair[0])
    return Withheld(until, named(by))


def withheld_throughout(
    service_name: str,
    tags: Sequence[str],
    since: datetime,
    until: datetime,
    *,
    silences: Sequence[Silence],
    windows: Sequence[MaintenanceWindow],
) -> Withheld | None:
    """What withheld messages about a service all the time from one moment to another, if anything did.

    What came and went meanwhile is told to nobody, also if it could only be told later.
    """
    length = until - since + timedelta(microseconds=1)
    end = withheld_until(service_name, tags, since, silences, windows, look_again=length)
    if end is None or end <= until:
        return None
    begun = withheld(service_name, tags, since, silences, windows)
    return Withheld(end, begun.by) if begun is not None else None


def named(each: Withholding) -> str:
    """Which it is, whose, and why, as `silence 4f3a21c9 of ana: the new release`."""
    kind = "silence" if isinstance(each, Silence) else "maintenance"
    return f"{kind} {str(each.id)[:SHORT_ID]} of {each.author}: {each.comment}"


def withheld_until(
    service_name: str,
    tags: Sequence[str],
    now: datetime,
    silences: Sequence[Silence],
    windows: Sequence[MaintenanceWindow],
    *,
    look_again: timedelta = LOOK_AGAIN,
) -> datetime | None:
    """Until when messages about a service are withheld now, whatever overlaps or follows at once; None if not at all.

    At most `look_again` from now, or `MOST_IN_A_ROW` that follow one another.
    """
    every: Sequence[Withholding] = [*silences, *windows]
    concerned = [each for each in every if concerns(each, service_name, tags)]
    latest = _later(now, look_again)
    until = now
    for _ in range(MOST_IN_A_ROW):
        ends = [end for each in concerned if (end := holds_until(each, until, latest)) is not None]
        if not ends or until >= latest:
            break
        until = max(ends)
    return min(until, latest) if until > now else None


def under_maintenance(
    service_name: str, tags: Sequence[str], moment: datetime, windows: Sequence[MaintenanceWindow]
) -> bool:
    """Whether a service is worked on at a moment, so that what is found of it then says nothing about its uptime."""
    return any(
        concerns(window, service_name, tags) and holds_until(window, moment, moment + LOOK_AGAIN) is not None
        for window in windows
    )


def concerns(each: Withholding, service_name: str, tags: Sequence[str]) -> bool:
    """Whether a service is one of those that are meant."""
    if each.service_glob is not None:
        return fnmatchcase(service_name, each.service_glob)
    return each.tag in tags


def holds_until(each: Withholding, moment: datetime, latest: datetime) -> datetime | None:
    """When it ends, if it holds at a moment; `latest` if it has no end.

    Of what comes again, the end may be one at which it comes again.
    """
    if moment < each.starts_at or (each.ends_at is not None and moment >= each.ends_at):
        return None
    ends = [latest if each.ends_at is None else each.ends_at]
    if isinstance(each, MaintenanceWindow) and each.recurrence is not None:
        comes = _last_end(each.recurrence, moment)
        if comes is None:
            return None
        ends.append(comes)
    return min(ends)


def next_start(each: Withholding, now: datetime) -> datetime | None:
    """When it will begin next, if it doesn't hold now; None if it does or is over."""
    if holds_until(each, now, now + LOOK_AGAIN) is not None:
        return None
    start: datetime | None = max(each.starts_at, now)
    if isinstance(each, MaintenanceWindow) and each.recurrence is not None and start is not None:
        begun = _last_end(each.recurrence, start) is not None
        start = start if begun else next(_times(each.recurrence, start), None)
    is_over = start is None or (each.ends_at is not None and start >= each.ends_at)
    return None if is_over else start


def _later(moment: datetime, length: timedelta) -> datetime:
    """A moment so much later, or the last that there is: others may write any time into the database."""
    try:
        return moment + length
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


@lru_cache(maxsize=MOST_IN_A_ROW + 24)  # what is claimed together is asked about at one moment
def _last_end(recurrence: Recurrence, moment: datetime) -> datetime | None:
    """When what has begun by a moment and isn't over ends; None if there is no such."""
    duration = timedelta(seconds=recurrence.duration_s)
    first = next(_times(recurrence, moment - duration), None)
    return first + duration if first is not None and first <= moment else None


def _times(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """Nothing for what this machine doesn't understand: better a message too many than one too few."""
    try:
        yield from times_after(recurrence.cron, recurrence.time_zone, after)
    except (ValueError, OverflowError):
        return
