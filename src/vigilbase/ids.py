"""Ids that sort by creation time, so that an index grows at its end."""

import os
import time
from threading import Lock
from uuid import UUID

_NS_PER_MS = 1_000_000
_STEPS_PER_MS = 4096  # `rand_a` (12 bits) holds the fraction of a millisecond: RFC 9562, section 6.2, method 3
_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62


def uuid7(unix_ns: int | None = None) -> UUID:
    """Make a version 7 UUID (RFC 9562) that sorts after all earlier ones of this process.

    `unix_ns` (nanoseconds since 1970) replaces the clock. If the time is not later than that of the previous id, the id
    gets the previous time plus 1/4096 ms.
    """
    stamp = _stamps.advance(time.time_ns() if unix_ns is None else unix_ns)
    milliseconds, fraction = divmod(stamp, _STEPS_PER_MS)
    # 62 random bits, because the variant takes two of the 64 (RFC 9562, section 5.7).
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | random)


class _Stamps:
    """Strictly ascending times, in steps of 1/4096 ms since 1970."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = Lock()

    def advance(self, unix_ns: int) -> int:
        stamp = unix_ns * _STEPS_PER_MS // _NS_PER_MS
        with self._lock:
            self._last = max(stamp, self._last + 1)
            return self._last


_stamps = _Stamps()
