"""Where the program reads the time. Rules take `now` as an argument; only the outermost code asks here."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds since an arbitrary moment; never goes back. For intervals only."""
    return time.monotonic()


def since_boot() -> float:
    """As `monotonic`, but it runs on while the machine sleeps: for what somebody else's clock ends meanwhile.

    CLOCK_BOOTTIME of Linux; CLOCK_MONOTONIC elsewhere, which on macOS doesn't stop either.
    """
    return time.clock_gettime(_SINCE_BOOT)


_SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
