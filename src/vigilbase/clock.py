"""Where the program reads the time. Rules take `now` as an argument; only the outermost code asks here."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds since an arbitrary moment; never goes back. For intervals only."""
    return time.monotonic()
