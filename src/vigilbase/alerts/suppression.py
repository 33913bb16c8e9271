"""Which notifications are suppressed, and until when: the one place for the rules of silences and maintenance. Pure.

Both are half-open: active at their start, no longer active at their end. A pattern matches names case-sensitively, with
`*` for any characters, `?` for one and `[abc]` for one of these; a tag matches exactly.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple

from vigilbase.models import Recurrence, Suppression
from vigilbase.models.recurrence import list_times_after

SHORT_ID = 8
_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
MAX_LOOKAHEAD = timedelta(hours=1)
"""Bounds the cost of joining suppressions that follow each other."""
MAX_CHAIN = 1000
"""How many windows that follow one another are joined: days of one-minute windows would take seconds."""


class ActiveSuppression(NamedTuple):
    """Until when notifications are suppressed, at most `MAX_LOOKAHEAD` ahead, and a description of what does it."""

    until: datetime
    by: str


def find_suppression(
    service_name: str, tags: Sequence[str], now: datetime, suppressions: Sequence[Suppression]
) -> ActiveSuppression | None:
    """What suppresses notifications about a service now: of several suppressions, the one that ends last."""
    until = find_suppressed_until(service_name, tags, now, suppressions)
    if until is None:
        return None
    # Compared without the limit of `until`: a silence without end outlasts even a long window.
    ends = [
        (end, each)
        for each in suppressions
        if matches_service(each, service_name, tags) and (end := find_active_until(each, now, _END_OF_TIME))
    ]
    _, by = max(ends, key=lambda pair: pair[0])
    return ActiveSuppression(until, describe_suppression(by))


def find_suppression_throughout(
    service_name: str, tags: Sequence[str], since: datetime, until: datetime, suppressions: Sequence[Suppression]
) -> ActiveSuppression | None:
    """What suppressed notifications about a service without a gap from one moment to another, if anything did.

    An alert that opened and resolved in between causes no notification, even if it could only be sent later.
    """
    # Suppressions are half-open: one that ends at `until` doesn't cover the resolution at that moment.
    length = until - since + timedelta(microseconds=1)
    end = find_suppressed_until(service_name, tags, since, suppressions, lookahead=length)
    if end is None or end <= until:
        return None
    first = find_suppression(service_name, tags, since, suppressions)
    return ActiveSuppression(end, first.by) if first is not None else None


def describe_suppression(suppression: Suppression) -> str:
    """`silence 4f3a21c9 of ana: the new release`."""
    short_id = str(suppression.id)[:SHORT_ID]
    return f"{suppression.kind} {short_id} of {suppression.author}: {suppression.comment}"


def find_suppressed_until(
    service_name: str,
    tags: Sequence[str],
    now: datetime,
    suppressions: Sequence[Suppression],
    *,
    lookahead: timedelta = MAX_LOOKAHEAD,
) -> datetime | None:
    """Until when notifications about a service are suppressed, through what overlaps or follows at once; None if not.

    At most `lookahead` from now, or `MAX_CHAIN` suppressions that follow one another.
    """
    matching = [each for each in suppressions if matches_service(each, service_name, tags)]
    latest = _add(now, lookahead)
    until = now
    for _ in range(MAX_CHAIN):
        ends = [end for each in matching if (end := find_active_until(each, until, latest)) is not None]
        if not ends or until >= latest:
            break
        until = max(ends)
    return min(until, latest) if until > now else None


def matches_service(suppression: Suppression, service_name: str, tags: Sequence[str]) -> bool:
    """Whether a suppression applies to a service."""
    if suppression.service_glob is not None:
        # Not fnmatch(), whose rules for upper and lower case depend on the operating system.
        return fnmatchcase(service_name, suppression.service_glob)
    return suppression.tag in tags


def find_active_until(suppression: Suppression, moment: datetime, latest: datetime) -> datetime | None:
    """When a suppression that is active at a moment ends, `latest` if it has no end; None if it isn't active.

    A recurring one ends with its current occurrence, even if the next follows at once.
    """
    if moment < suppression.starts_at or (suppression.ends_at is not None and moment >= suppression.ends_at):
        return None
    ends = [latest if suppression.ends_at is None else suppression.ends_at]
    if suppression.recurrence is not None:
        occurrence_end = _find_occurrence_end(suppression.recurrence, moment)
        if occurrence_end is None:
            return None
        ends.append(occurrence_end)
    return min(ends)


def find_next_start(suppression: Suppression, now: datetime) -> datetime | None:
    """When a suppression becomes active next; None if it is active or has ended."""
    if find_active_until(suppression, now, now + MAX_LOOKAHEAD) is not None:
        return None
    start: datetime | None = max(suppression.starts_at, now)
    if suppression.recurrence is not None and start is not None:
        has_started = _find_occurrence_end(suppression.recurrence, start) is not None
        start = start if has_started else next(_list_times(suppression.recurrence, start), None)
    has_ended = start is None or (suppression.ends_at is not None and start >= suppression.ends_at)
    return None if has_ended else start


def _add(moment: datetime, length: timedelta) -> datetime:
    """The sum, or the last moment that Python has: other programs may write any time into the database."""
    try:
        return moment + length
    except OverflowError:
        return _END_OF_TIME


@lru_cache(maxsize=MAX_CHAIN + 24)  # notifications that are claimed together ask about the same moment
def _find_occurrence_end(recurrence: Recurrence, moment: datetime) -> datetime | None:
    """When the occurrence ends that has started by a moment and hasn't ended; None if there is none."""
    duration = timedelta(seconds=recurrence.duration_s)
    # What started a whole duration ago, or earlier, has ended.
    first = next(_list_times(recurrence, moment - duration), None)
    return first + duration if first is not None and first <= moment else None


def _list_times(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    """Nothing where this machine can't read the recurrence: one notification too many is better than one too few."""
    try:
        yield from list_times_after(recurrence.cron, recurrence.time_zone, after)
    except (ValueError, OverflowError):
        return
