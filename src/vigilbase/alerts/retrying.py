"""When a message is tried again: pure."""

from datetime import timedelta

FIRST_DELAY_S = 5.0
LONGEST_DELAY_S = 3600.0
LONGEST_ASKED_S = 6 * 3600.0
GIVE_UP_AFTER = 20  # tries, in about eleven hours
JITTER = 0.2


def delay_s(
    attempts: int,
    asked: timedelta,
    chance: float,
    first_s: float = FIRST_DELAY_S,
    longest_s: float = LONGEST_DELAY_S,
) -> float:
    """Seconds until the next try, after so many: twice as long each time, up to an hour.

    Spread by a fifth either way (`chance` from 0 to 1), so that what failed together doesn't come back together. Not
    before the time that the receiver `asked` for (Retry-After, RFC 9110, section 10.2.3), six hours at the most.
    """
    growing = min(first_s * 2.0 ** (attempts - 1), longest_s)
    spread = growing * (1 + JITTER * (2 * chance - 1))
    return max(spread, pause_s(asked))


def pause_s(asked: timedelta) -> float:
    """Seconds for which a receiver gets nothing that asked for so much time."""
    return min(asked.total_seconds(), LONGEST_ASKED_S)
