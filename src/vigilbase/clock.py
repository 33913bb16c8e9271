"""The clocks. Rules take `now` as an argument; only the outermost code reads a clock."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds since an arbitrary moment, never decreasing: for measuring intervals."""
    return time.monotonic()


def since_boot() -> float:
    """Like `monotonic`, but includes time asleep: for deadlines that another machine's clock decides, such as a lease.

    CLOCK_BOOTTIME on Linux, otherwise CLOCK_MONOTONIC, which includes time asleep on macOS.
    """
    return time.clock_gettime(_SINCE_BOOT)


_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far the database's clock is ahead of ours, and the uncertainty of that."""

    difference: timedelta
    uncertainty: timedelta


def read_clock(database_now: datetime, before: datetime, after: datetime) -> ClockReading:
    """A reading of the database's clock at some moment between two of ours."""
    half = (after - before) / 2
    return ClockReading(database_now - (before + half), abs(half))


def correct_clock(current: timedelta, reading: ClockReading) -> timedelta:
    """The difference to use: the current one, unless a reading shows that one of the clocks was set."""
    threshold = timedelta(seconds=1) + reading.uncertainty
    return reading.difference if abs(reading.difference - current) > threshold else current
