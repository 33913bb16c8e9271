"""When attempts are made and retried. Pure."""

from dataclasses import dataclass
from datetime import timedelta

LEASE_S = 60
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 3600.0
MAX_PAUSE_S = 6 * 3600.0
MAX_ATTEMPTS = 20  # over about ten hours
JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Timings:
    """In seconds: the lease, the time limit of an attempt, the retry delays, the poll and sweep intervals.

    An attempt begins only while the remaining lease is at least as long as its time limit.
    """

    lease_s: int = LEASE_S
    send_within_s: float = LEASE_S / 2
    first_delay_s: float = FIRST_DELAY_S
    max_delay_s: float = MAX_DELAY_S
    poll_s: float = 1.0
    sweep_every_s: float = 60.0


DEFAULT_TIMINGS = Timings()


def compute_retry_delay_s(
    attempts: int,
    requested_pause: timedelta,
    chance: float,
    first_s: float = FIRST_DELAY_S,
    max_s: float = MAX_DELAY_S,
) -> float:
    """Seconds until the next attempt: twice as long after each, up to an hour.

    `chance` (0 to 1) spreads it by a fifth either way, so that what failed together isn't retried together. The delay
    is never shorter than the pause that the receiver requested (Retry-After, RFC 9110, section 10.2.3).
    """
    delay = min(first_s * 2.0 ** (attempts - 1), max_s)
    spread = delay * (1 + JITTER * (2 * chance - 1))
    return max(spread, limit_pause_s(requested_pause))


def limit_pause_s(requested_pause: timedelta) -> float:
    """Seconds for which a channel is paused at its receiver's request, at most six hours."""
    return min(requested_pause.total_seconds(), MAX_PAUSE_S)
